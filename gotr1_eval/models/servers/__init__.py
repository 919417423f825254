"""Models behind servers: connection, patience, health of a fleet; what judges and generators behind one share."""
