"""Tables of marks in any shape: what a mapping says, rows found, cells read, marks kept."""
