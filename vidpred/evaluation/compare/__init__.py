"""Results of several methods compared: which clips count, who leads, how sure that is."""
