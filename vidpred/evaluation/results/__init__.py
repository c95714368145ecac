"""Result files: their content, read back and averaged."""
