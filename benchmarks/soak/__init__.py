"""The soak test of the service: champions that move, hostile requests, kills, idle connections.

`make soak` runs all of it; SOAK_REQUESTS, SOAK_KILLS, SOAK_IDLE and SOAK_PARTS make it shorter.
"""
