"""What the demo asks for: a type that shows what streaming has to cope with, or one that the user names."""

from __future__ import annotations

import datetime as dt
import enum
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from structstream import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from structstream import StreamingStructuredRequest

__all__ = ["Day", "Meal", "Season", "Train", "Traveller", "Trip", "Walk", "load_type", "make_request"]


class Season(enum.Enum):
    """When to go."""

    SPRING = "spring"
    SUMMER = "summer"
    AUTUMN = "autumn"
    WINTER = "winter"


class Traveller(BaseModel):
    """Who goes."""

    name: str = Field(min_length=2, max_length=40)
    email: str
    age: int = Field(ge=18, le=90)


class Train(BaseModel):
    """By rail."""

    kind: Literal["train"]
    destination: str
    departs: dt.datetime
    minutes: int = Field(gt=0)


class Walk(BaseModel):
    """On foot."""

    kind: Literal["walk"]
    street: str
    minutes: int = Field(gt=0, le=90)


class Meal(BaseModel):
    """At a table."""

    kind: Literal["meal"]
    price: float = Field(gt=0)
    review: str


class Day(BaseModel):
    """A day of the trip."""

    date: dt.date
    title: str
    steps: list[Annotated[Train | Walk | Meal, Field(discriminator="kind")]] = Field(min_length=2, max_length=3)


class Trip(BaseModel):
    """A short trip: nested models, lists, a discriminated union, an enum, dates and long text."""

    title: str
    city: str
    season: Season
    traveller: Traveller
    budget: float = Field(gt=0, le=5000)
    days: list[Day] = Field(min_length=2, max_length=3)
    tags: set[str] = Field(min_length=2, max_length=4)
    story: str = Field(min_length=320, max_length=520)


def load_type(name: str) -> Any:  # Any: whatever type the user has
    """Return the type that ``module:Name`` names; the current directory is searched first.

    Raises:
        ConfigurationError: there is no such module or name in it, or it is no type that Pydantic knows.
    """
    module, colon, path = name.partition(":")
    if not (colon and module and path):
        raise ConfigurationError(f"--schema takes module:Class, such as mypackage.models:Order, not {name!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        TypeAdapter(found).json_schema()
    except ImportError as error:
        raise ConfigurationError(f"--schema {name}: the module cannot be imported: {error}") from error
    except AttributeError as error:
        raise ConfigurationError(f"--schema {name}: {error}") from error
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise ConfigurationError(f"--schema {name}: {str(error).splitlines()[0]}") from error
    return found


def make_request(arguments: argparse.Namespace, **more: Any) -> StreamingStructuredRequest[Any]:
    """Return the request that the options describe; `more` are further arguments of it, of any type."""
    from structstream import StreamingStructuredRequest

    return StreamingStructuredRequest(
        response_model=Trip if arguments.schema is None else load_type(arguments.schema),
        model=arguments.model,
        prompt=arguments.prompt,
        temperature=arguments.temperature,
        **more,
    )
