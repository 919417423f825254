"""T2I-CoReBench's judges: as the open ones are asked, and as Gemini is."""
