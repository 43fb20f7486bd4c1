"""One server: the connection to it, its opening and closing, and the face that callers hold."""
