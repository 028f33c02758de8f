"""Who watches and asks: a person at a socket, a reader of events, a page that polls, somebody who comes late."""
