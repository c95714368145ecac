"""The index of the videos below a folder, kept between runs."""
