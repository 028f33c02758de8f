"""What is told at once: the socket, the hub of rooms, publishing, presence, activity."""
