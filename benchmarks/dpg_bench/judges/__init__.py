"""DPG-Bench's questions, put to its own judge or to another one."""
