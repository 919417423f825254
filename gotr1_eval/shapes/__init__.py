"""The embedded world of coloured shapes, in which every right answer is computed and not asked for.

    scene      what can be in a picture: shapes, colours, textures, and where
    language   prompts about scenes, written and read back
    prompts    the world's prompt lists, train and val
    drawing    scene -> pixels
    detecting  pixels -> detections
    layout     a scene that fulfils a prompt (or breaks it in a named way)
    chains     scene -> reasoning chain

It serves the demo, the tutorial and the end-to-end tests; nothing measured here is a result about real pictures.
"""
