"""A page on this machine: drop a clip, watch truth and prediction side by side (`vidpred serve`).

The server keeps what a browser tab gave it and asked for (`tabs`, `uploads`, `jobs`) in a temporary
folder within `limits`, and removes it when the tab is closed. Needs the extra `page`.
"""
