"""A sentence-transformers model as a server of its own: /v1/embeddings, or /v1/rerank for a cross-encoder.

Run by the Python of the engine's environment. Imports nothing of Lectern: this environment has none of its packages.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import socket
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

Text = Annotated[str, Field(min_length=1)]
MIB = 2**20
MADE_OF = frozenset((".json", ".txt", ".model", ".safetensors", ".bin", ".py"))
REVISION_LETTERS = 12


class Refused(Exception):
    """A request that cannot be answered: told to whoever has sent it, with the status and the field."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.field = status, message, field


class EmbeddingsRequest(BaseModel):
    """What /v1/embeddings takes; OpenAI's further fields are passed over."""

    model_config = ConfigDict(extra="ignore")
    input: Text | Annotated[list[Text], Field(min_length=1)]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)


class TokenizeRequest(BaseModel):
    """What /tokenize takes: texts whose tokens are to be counted."""

    model_config = ConfigDict(extra="ignore")
    input: Annotated[list[str], Field(min_length=1)]


class RerankRequest(BaseModel):
    """What /v1/rerank takes, in the form of Cohere and Jina."""

    model_config = ConfigDict(extra="ignore")
    query: Text
    documents: Annotated[list[Text | dict[str, Any]], Field(min_length=1)]
    model: str = ""
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = False


class Engine:
    """One model, loaded beside the server that already listens; asked by one request at a time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.model: Any = None
        self.revision = ""
        self.reranks = False
        self._one_at_a_time = threading.Lock()

    def load(self) -> None:
        """Load the model; ends the program with one line where it cannot be."""
        try:
            self.reranks = is_cross_encoder(self.options)
            model = self._loaded()
            self.revision = revision_of(self.options.model, model)
            self.model = model
        except Exception as error:  # noqa: BLE001 - whatever the libraries raise, it is why nothing is served
            sys.stderr.write(f"error: {self.options.model} cannot be served: {type(error).__name__}: {error}\n")
            sys.stderr.flush()
            os._exit(1)  # sys.exit would end this thread only
        sys.stderr.write(f"serving {self.options.model} for {'reranking' if self.reranks else 'embedding'}\n")

    def _loaded(self) -> Any:
        import sentence_transformers

        kind = sentence_transformers.CrossEncoder if self.reranks else sentence_transformers.SentenceTransformer
        options = self.options
        kwargs = {} if options.dtype == "auto" else {"model_kwargs": {"torch_dtype": options.dtype}}
        model = kind(
            options.model,
            device=options.device or None,
            trust_remote_code=options.trust_remote_code,
            local_files_only=not options.allow_download,
            **kwargs,
        )
        if options.max_length:
            model.max_seq_length = options.max_length
        return model

    def embed(self, texts: Sequence[str], dimensions: int | None) -> Any:
        """A row of floats for each text; the library sorts them by length into batches."""
        whole = self.model.get_embedding_dimension()
        if dimensions and whole and dimensions > whole:
            raise Refused(400, f"this model has {whole} dimensions", "dimensions")
        options = self.options
        with self._one_at_a_time:
            # A vector that was cut is of length 1 no longer, so it is made so again.
            return self.model.encode(
                list(texts),
                batch_size=options.batch_size,
                normalize_embeddings=options.normalize or bool(dimensions),
                truncate_dim=dimensions,
                show_progress_bar=False,
            )

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """How well each document answers the query; larger is better."""
        with self._one_at_a_time:
            pairs = [(query, document) for document in documents]
            scores = self.model.predict(pairs, batch_size=self.options.batch_size, show_progress_bar=False)
        if getattr(scores, "ndim", 1) != 1:
            raise Refused(400, "this model has several labels instead of one score", "model")
        return [float(score) for score in scores]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text with what the model puts around it, before any cut."""
        with self._one_at_a_time:
            rows = self.model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [len(row) for row in rows]

    def tokens(self, texts: Sequence[str]) -> int:
        """Tokens that the model reads of these texts, those beyond its window left out."""
        window = self.model.max_seq_length
        with self._one_at_a_time:
            rows = self.model.tokenizer(list(texts), truncation=window is not None, max_length=window)["input_ids"]
        return sum(len(row) for row in rows)


def build(engine: Engine, limit_bytes: int) -> FastAPI:
    """The server around an engine."""

    @asynccontextmanager
    async def load_beside(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=engine.load, name="load", daemon=True).start()
        yield

    app = FastAPI(lifespan=load_beside, openapi_url=None)

    @app.middleware("http")
    async def bounded(request: Request, call_next: Any) -> Any:
        fault = fault_of(request, engine, limit_bytes)
        return refusal(fault) if fault else await call_next(request)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return refusal(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body")
        return refusal(Refused(400, f"{field}: {first['msg']}", field))

    add_routes(app, engine)
    return app


def add_routes(app: FastAPI, engine: Engine) -> None:
    """What can be asked."""

    @app.get("/health")
    def health() -> JSONResponse:
        if engine.model is None:
            return JSONResponse({"status": "loading"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        model = {"id": engine.options.served_model_name, "object": "model", "created": 0, "owned_by": "lectern"}
        facts = {"max_model_len": engine.model.max_seq_length, "revision": engine.revision}
        return {"object": "list", "data": [{**model, **facts}]}

    @app.post("/v1/embeddings")
    def embeddings(body: EmbeddingsRequest) -> dict[str, Any]:
        return embeddings_reply(engine, body)

    @app.post("/tokenize")
    def tokenize(body: TokenizeRequest) -> dict[str, Any]:
        return {"counts": engine.counts(checked(body.input, "input", engine, ""))}

    @app.post("/v1/rerank")
    def rerank(body: RerankRequest) -> dict[str, Any]:
        return rerank_reply(engine, body)


def fault_of(request: Request, engine: Engine, limit_bytes: int) -> Refused | None:
    """Why a request is not even read; None where it is."""
    if not request.url.path.startswith(("/v1/", "/tokenize")):
        return None
    if request.method == "POST":
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            return Refused(411, "the request does not say how long it is")
        if int(length) > limit_bytes:
            return Refused(413, f"the request is larger than {limit_bytes} bytes")
    return Refused(503, "the model is being loaded") if engine.model is None else None


def embeddings_reply(engine: Engine, body: EmbeddingsRequest) -> dict[str, Any]:
    """What /v1/embeddings answers. Raises: Refused."""
    if engine.reranks:
        raise Refused(400, "this model reranks; ask /v1/rerank", "model")
    texts = checked([body.input] if isinstance(body.input, str) else body.input, "input", engine, body.model)
    rows = engine.embed(texts, body.dimensions)
    written = [as_base64(row) if body.encoding_format == "base64" else row.tolist() for row in rows]
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(written)],
        "model": engine.options.served_model_name,
        "usage": usage(engine.tokens(texts)),
    }


def rerank_reply(engine: Engine, body: RerankRequest) -> dict[str, Any]:
    """What /v1/rerank answers. Raises: Refused."""
    if not engine.reranks:
        raise Refused(400, "this model embeds; ask /v1/embeddings", "model")
    texts = checked([text_of(document) for document in body.documents], "documents", engine, body.model)
    scores = engine.score(body.query, texts)
    order = sorted(range(len(texts)), key=lambda i: -scores[i])[: body.top_n]
    shown = {i: {"document": {"text": texts[i]}} if body.return_documents else {} for i in order}
    return {
        "model": engine.options.served_model_name,
        "results": [{"index": i, "relevance_score": scores[i], **shown[i]} for i in order],
        "usage": usage(engine.tokens([*texts, *[body.query] * len(texts)])),
    }


def checked(texts: list[str], field: str, engine: Engine, model: str) -> list[str]:
    """The texts of a request for this model, if they are not too many. Raises: Refused."""
    if model and model != engine.options.served_model_name:
        raise Refused(404, f"the model {model} is not served here, but {engine.options.served_model_name}", "model")
    if len(texts) > engine.options.max_inputs:
        raise Refused(400, f"at most {engine.options.max_inputs} texts at a time", field)
    return texts


def text_of(document: str | dict[str, Any]) -> str:
    """The text of a document, which may come as {"text": …}. Raises: Refused."""
    text = document if isinstance(document, str) else document.get("text")
    if not isinstance(text, str) or not text:
        raise Refused(400, "a document is a text or an object with one under text", "documents")
    return text


def as_base64(row: Any) -> str:
    """A vector as OpenAI's client wants it: 32-bit floats, little-endian."""
    return base64.b64encode(row.astype("<f4").tobytes()).decode("ascii")


def usage(tokens: int) -> dict[str, int]:
    """How many tokens were read."""
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def refusal(error: Refused) -> JSONResponse:
    """An error in OpenAI's form."""
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    return JSONResponse(
        {"error": {"message": error.message, "type": kind, "param": error.field, "code": error.status}}, error.status
    )


def revision_of(model: str, loaded: Any) -> str:
    """What tells this model from another one of its name: the hub's revision, else a digest of its folder.

    Of large files the beginning and the end are looked at: weights that were trained further differ in both.
    """
    folder = Path(model)
    if not folder.is_dir():
        config = getattr(getattr(loaded[0], "auto_model", None), "config", None)
        return str(getattr(config, "_commit_hash", None) or "")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in MADE_OF):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(MIB))
            file.seek(max(0, size - MIB))
            digest.update(file.read(MIB))
    return digest.hexdigest()[:REVISION_LETTERS]


def is_cross_encoder(options: argparse.Namespace) -> bool:
    """Whether the model gives scores to pairs: it was told so, or its folder says so."""
    if options.task != "auto":
        return bool(options.task == "rerank")
    folder = Path(options.model)
    if (folder / "modules.json").exists() or not (folder / "config.json").exists():
        return False
    architectures = json.loads((folder / "config.json").read_text("utf-8")).get("architectures") or []
    return any(name.endswith("ForSequenceClassification") for name in architectures)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="a sentence-transformers model behind an OpenAI-compatible API")
    parser.add_argument("model")
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--task", choices=("auto", "embed", "rerank"), default="auto")
    parser.add_argument("--device", default="")
    parser.add_argument("--dtype", choices=("auto", "float16", "bfloat16", "float32"), default="auto")
    parser.add_argument("--max-length", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-inputs", type=int, default=2048)
    parser.add_argument("--max-request-mib", type=int, default=16)
    for name in ("normalize", "trust-remote-code", "allow-download"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args(argv)


def main() -> None:
    """Serve until SIGTERM; ends with one line on stderr where that cannot be."""
    options = parse(sys.argv[1:])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            sys.exit(f"error: port {options.port} on {options.host} cannot be used: {error.strerror}")
    app = build(Engine(options), options.max_request_mib * MIB)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
