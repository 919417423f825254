"""Reading runs and drawing them: tables and pages. Nothing here judges anything."""
