"""The feed process: the exchange's sockets in; live books, published states and stored rows out."""
