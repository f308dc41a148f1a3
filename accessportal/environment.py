"""The one reader of environment variables that settings use: it knows afterwards which were asked for, and their values."""

from environs import Env

env = Env()
