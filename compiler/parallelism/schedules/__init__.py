"""Schedules of a pipeline, as data: what each stage does at each tick; a file each."""
