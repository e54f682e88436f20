"""Eight small programs, one for each thing that people do with streams; offline, against the simulated provider.

    python scripts/streaming_examples.py            all of them
    python scripts/streaming_examples.py resume     one

Each is a function to be read and copied: what it prints is what it shows.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from pydantic import BaseModel, Field

from structstream import (
    ProgressEvent,
    RateLimitedError,
    StreamFailedError,
    StreamingStructuredRequest,
    StructuredLLMService,
    Timeouts,
)
from structstream.guardrails import PersonalData
from structstream.testing import Script, SimulatedProvider, length, reset_at_byte, status

MODEL = "simulated/gpt-4o"


class Job(BaseModel):
    """A part of the answer that is a model of its own."""

    company: str
    years: int = Field(ge=0)


class Profile(BaseModel):
    """The answer."""

    name: str
    headline: str
    skills: list[str]
    jobs: list[Job]


DOCUMENT = Profile(
    name="Ada Lovelace",
    headline="Engineer; write to ada@example.org",
    skills=["analysis", "engines"],
    jobs=[Job(company="Analytical Engines", years=9), Job(company="Notes & Sons", years=3)],
).model_dump_json()


def profile(prompt: str = "A software engineer", **others: object) -> StreamingStructuredRequest[Profile]:
    """A request; what is given beside the prompt is any of its arguments."""
    return StreamingStructuredRequest(response_model=Profile, model=MODEL, prompt=prompt, **others)  # type: ignore[arg-type]


async def basic(service: StructuredLLMService) -> None:
    """The object grows; the last step holds the validated one."""
    async with service.route_structured_streaming(profile()) as stream:
        async for response in stream:
            if response.is_complete:
                print("whole:  ", response.result)
            elif response.completed:
                print("partial:", response.partial_result)


async def progress(service: StructuredLLMService) -> None:
    """A callback hears how far it is, and of each field that is there."""

    def show(event: ProgressEvent) -> None:
        print(f"{event.event_type:9} {event.progress_percent:5.1f} %  {event.message}")

    print(await service.route_structured(profile(progress_callback=show)))


async def error_handling(service: StructuredLLMService) -> None:
    """A failure is one typed error, whose outcome holds what could be saved."""
    try:
        busy = status(429, {"retry-after": "0.1"})
        await service.route_structured(profile(max_retries=0, headers={"x-simulate": str(busy)}))
    except RateLimitedError as error:
        print("rate limited:", error)
    try:
        broken = profile(midstream="fail", headers={"x-simulate": str(reset_at_byte(3000))}, timeouts=Timeouts(total=5))
        await service.route_structured(broken)
    except StreamFailedError as error:
        print(type(error).__name__, "with", error.outcome.last_partial if error.outcome else None)


async def batch(service: StructuredLLMService) -> None:
    """Many requests, a few at a time; one that fails loses no other."""
    requests = [profile(f"Engineer number {number}") for number in range(5)]
    requests[2] = profile("Nobody", max_retries=0, headers={"x-simulate": str(status(503))})
    async for index, response in service.stream_many(requests, concurrency=3):
        if response.is_complete:
            print(f"request {index}:", response.error or response.result.name)


async def custom_callbacks(service: StructuredLLMService) -> None:
    """Callbacks of your own, plain or async, for parts of the answer."""

    async def found(path: str, job: Job) -> None:
        print("a job at", path, "→", job)

    async with service.route_structured_streaming(profile()) as stream:
        stream.on_complete("jobs[*]", found)
        stream.on_complete("name", lambda path, name: print("the name:", name))
        await stream.result()


async def completion(service: StructuredLLMService) -> None:
    """Each object of a list as soon as it has closed, while the rest is being written."""
    async with service.route_structured_streaming(profile()) as stream:
        async for job in stream.each("jobs[*]"):
            print("closed:", job)


async def resume(service: StructuredLLMService) -> None:
    """A stream that breaks goes on from where it stood: nothing that was shown is taken back."""
    cut = profile(headers={"x-simulate": str(length(70))})
    async with service.route_structured_streaming(cut) as stream:
        async for response in stream:
            if response.begins is not None:
                print(f"attempt {response.attempt}: {response.begins.plan} at {response.begins.path!r}")
    if stream.outcome is not None:
        print(stream.outcome.kind, "after", len(stream.outcome.attempts), "attempts")


async def guardrails(service: StructuredLLMService) -> None:
    """What a guardrail holds back is never shown, in no cut of the stream."""
    async with service.route_structured_streaming(profile(guardrails=[PersonalData()])) as stream:
        async for response in stream:
            if response.is_complete:
                print(response.result.headline)


EXAMPLES: dict[str, Callable[[StructuredLLMService], Awaitable[None]]] = {
    "basic": basic,
    "progress": progress,
    "error_handling": error_handling,
    "batch": batch,
    "custom_callbacks": custom_callbacks,
    "completion": completion,
    "resume": resume,
    "guardrails": guardrails,
}


async def main(names: list[str]) -> int:
    """Run the examples of those names, or all."""
    unknown = [name for name in names if name not in EXAMPLES]
    if unknown:
        print(f"no example {', '.join(unknown)}; there are {', '.join(EXAMPLES)}")
        return 2
    pace = Script(tokens_per_second=1000)
    async with SimulatedProvider(document=DOCUMENT, script=pace) as provider, StructuredLLMService() as service:
        os.environ["STRUCTSTREAM_SIMULATED_BASE_URL"] = provider.base_url
        for name in names or EXAMPLES:
            print(f"--- {name}: {(EXAMPLES[name].__doc__ or '').splitlines()[0]}")
            await EXAMPLES[name](service)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
