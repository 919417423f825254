"""What makes a reward what it is, from judgments alone: which factor decides it, and what moves it besides merit."""
