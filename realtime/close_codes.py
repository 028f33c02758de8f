"""Why a socket is closed by us: the codes that clients see."""

CLOSE_RESTART = 4012
CLOSE_SLOW, CLOSE_TOO_LARGE, CLOSE_FLOOD = 4008, 4009, 4429
CLOSE_LOGIN, CLOSE_NOT_ALLOWED = 4401, 4403
