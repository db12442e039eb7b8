"""Command `bench`."""

import typer

app = typer.Typer(no_args_is_help=True, help="Measure speed, as ratios within one run.")
