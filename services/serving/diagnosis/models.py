"""Causes: the model itself. Where it comes from, what it is, and whether the engine knows it."""

from __future__ import annotations

from services.core.i18n import N_
from services.serving.diagnosis.causes import LIKELY, NOTICE, Advice, Cause, Found, Sign, fixed


def _of_the_model(found: Found) -> Advice:
    return (
        Advice(flags={"--quantization": str(found.params["method"]).lower()}) if "method" in found.params else Advice()
    )


def _asked_model(found: Found) -> Advice:
    name = found.params.get("model") or found.options.get("model") or found.options.get("model_tag")
    return Advice({"model": name} if name else {})


CAUSES = (
    Cause(
        "gated_model",
        (
            N_("The model {model} is gated: its licence must be accepted, and the download needs a token."),
            N_("The model is gated or private: its licence must be accepted, and the download needs a token."),
        ),
        (
            N_(
                "Accept the licence on the model's page, give Lectern a token that may read it, or download it "
                "first and use the folder."
            ),
        ),
        (
            Sign("gated repo", r"gated repo(?:.{0,60}?huggingface\.co/(?P<model>[\w.-]+/[\w.-]+))?"),
            Sign("gatedrepoerror"),
            Sign("access to model", r"access to model (?P<model>\S+) is restricted"),
            Sign(
                "is restricted", r"(?:model|repo\w*).{0,80} is restricted.{0,80}(?:authori[sz]ed|log in|authenticated)"
            ),
            Sign("awaiting a review", r"awaiting a review from the repo authors"),
        ),
        advise=_asked_model,
    ),
    Cause(
        "hub_refused_token",
        (
            N_(
                "The model hub refused: there is no token, or this one may not read the model (or the model "
                "does not exist)."
            ),
        ),
        (N_("Check the model's name and the token."),),
        (
            Sign("client error", r"\b(?:401|403) client error", quiet=False),
            Sign("invalid user token"),
            Sign("invalid username or password"),
            Sign("invalid credentials in authorization header"),
        ),
        LIKELY,
        advise=_asked_model,
    ),
    Cause(
        "model_path_missing",
        (N_("There is no model at {model}."), N_("There is no model at the given path.")),
        (N_("Check the path: it must exist on the machine that serves, and be readable there."),),
        (
            Sign("repo id must be in the form", r"repo id must be in the form.*?: '(?P<model>[^']+)'"),
            Sign("repo id must use alphanumeric", r"repo id must use alphanumeric.*?'(?P<model>[^']+)'"),
            Sign("incorrect path_or_model_id", r"incorrect path_or_model_id: '(?P<model>[^']+)'"),
            Sign(
                "no such file or directory",
                r"no such file or directory:"
                r" '(?P<model>[^']*(?:config\.json|\.safetensors|\.bin|\.gguf|\.index\.json))'",
            ),
            Sign(
                "does not exist",
                r"model (?:path|folder|directory|file)\b.{0,10}? '?(?P<model>/[^' ]+)'? does not exist",
            ),
        ),
        advise=_asked_model,
    ),
    Cause(
        "model_not_found",
        (
            N_("The model hub knows no model {model} (or does not show it without a token)."),
            N_("The model hub knows no such model (or does not show it without a token)."),
        ),
        (N_("Check the spelling of the name; a private model needs a token."),),
        (
            Sign(
                "is not a valid model identifier",
                r"(?P<model>[\w./-]+) is not a local folder and is not a valid model identifier",
            ),
            Sign("repositorynotfounderror"),
            Sign(
                "repository not found for url",
                r"repository not found for url: \S*?(?:/api/models/|\.co/)(?P<model>[\w.-]+/[\w.-]+)",
            ),
            Sign("404 client error"),
            Sign("revisionnotfounderror"),
            Sign("invalid rev id"),
        ),
        LIKELY + 0.2,
        advise=_asked_model,
    ),
    Cause(
        "hub_unreachable",
        (
            N_(
                "The model {model} is not on this machine, and the model hub cannot be reached (or must not be: "
                "offline)."
            ),
            N_("The model is not on this machine, and the model hub cannot be reached."),
        ),
        (
            N_(
                "Download the model first on the Models page, choose a mirror (HF_ENDPOINT), or give the path "
                "of a folder."
            ),
        ),
        (
            Sign("localentrynotfounderror"),
            Sign("cannot find an appropriate cached snapshot"),
            Sign("couldn't connect to", r"couldn't connect to '?https?://"),
            Sign("outgoing traffic has been disabled"),
            Sign("offlinemodeisenabled"),
            Sign("offline mode is enabled"),
            Sign("max retries exceeded with url"),
            Sign("name resolution", r"(?:nameresolutionerror|temporary failure in name resolution)"),
            Sign("network is unreachable"),
            Sign("lookup", r"dial tcp: lookup \S+.{0,60}(?:no such host|server misbehaving|i/o timeout)"),
            Sign("ssl", r"ssl: certificate_verify_failed"),
        ),
        LIKELY + 0.1,
        advise=_asked_model,
    ),
    Cause(
        "config_missing",
        (
            N_("The folder {model} holds no model that the engine can read: config.json or the weights are missing."),
            N_("The folder holds no model that the engine can read: config.json or the weights are missing."),
        ),
        (N_("Check that the folder is the model's own (not its parent) and that the download is complete."),),
        (
            Sign(
                "invalid repository id or local directory",
                r"invalid repository id or local directory specified: '(?P<model>[^']+)'",
            ),
            Sign(
                "config.json", r"(?P<model>\S+) does not appear to have a file named (?:config\.json|\S+\.safetensors)"
            ),
            Sign(
                "config.json",
                r"(?:no|missing|cannot find|can't find|couldn't find|could not find|find) .{0,30}config\.json",
            ),
            Sign("model_type", r"should have a `?model_type`? key in its config\.json"),
            Sign("no file named", r"error no file named .{0,200}? found in directory (?P<model>\S+?)\.?$"),
            Sign("cannot find any model weights", r"cannot find any model weights with `?(?P<model>[^`\s]+)"),
            Sign(
                "does not appear to have a file named",
                r"(?P<model>\S+) does not appear to have a file named \S+",
            ),
            Sign("config.json", r"not a valid json file.{0,40}|config file at '[^']+' is not a valid json"),
        ),
        advise=_asked_model,
    ),
    Cause(
        "weights_damaged",
        (N_("A file of the model's weights is incomplete or damaged."),),
        (N_("Download it again; a file of about 130 bytes is a Git LFS pointer, not the weights."),),
        (
            Sign("safetensorerror", r"safetensorerror: .{0,40}(?:deserializ|header|incomplete|metadata)"),
            Sign("headertoolarge"),
            Sign("headertoosmall"),
            Sign("metadataincompletebuffer"),
            Sign("invalidheaderdeserialization"),
            Sign("pytorchstreamreader failed"),
            Sign("consistency check failed", r"consistency check failed: file should be of size"),
        ),
    ),
    Cause(
        "weights_do_not_match",
        (N_("The weights do not match the model's description: a part is missing, has another name or another size."),),
        (N_("Use a newer engine for a new model; check that quantised weights and config.json belong together."),),
        (
            Sign("were not initialized from checkpoint", r"weights were not initialized from checkpoint"),
            Sign("there is no module or parameter named"),
            Sign("size mismatch for"),
            Sign("attempted to load weight", r"attempted to load weight \("),
            Sign("keyerror", r"keyerror: '[\w.]*(?:layers|blk|embed|lm_head|weight)[\w.]*'"),
        ),
        LIKELY,
    ),
    Cause(
        "architecture_unknown",
        (
            N_("This version of the engine does not know the model's architecture {architecture}."),
            N_("This version of the engine does not know the model's architecture."),
        ),
        (
            N_(
                "Update the engine (and transformers), or choose a model that it supports. If a package failed "
                "to load above, that is the reason."
            ),
        ),
        (
            Sign(
                "architectures",
                r"model architectures \[['\"]?(?P<architecture>[^\]'\"]*).*?\] (?:are not"
                r" supported|failed to be inspected)",
            ),
            Sign("no vllm implementation", r"(?P<architecture>\w+) has no vllm implementation and"),
            Sign(
                "model type",
                r"has model type [`'\"](?P<architecture>[\w.-]+)[`'\"] but transformers does not recogni[sz]e",
            ),
            Sign("transformers does not recogni", r"transformers does not recogni[sz]e this architecture"),
            Sign("unrecognized model in", r"unrecognized model in (?P<model>\S+?)\.? should have"),
            Sign("unknown model architecture", r"unknown model architecture: '(?P<architecture>[^']*)'"),
            Sign("unsupported model architecture"),
            Sign("unrecognized configuration class"),
            Sign("cannot find model module", r"cannot find model module\.? '?(?P<architecture>\w+)?"),
            Sign(
                "transformers implementation", r"transformers implementation of (?P<architecture>\S+) is not compatible"
            ),
        ),
    ),
    Cause(
        "engine_too_old",
        (N_("This model needs a newer version of the engine."),),
        (N_("Update the engine, then try again."),),
        (Sign("requires a newer version", r"(?:model|gguf|pull).{0,120}requires a newer version"),),
    ),
    Cause(
        "trust_remote_code",
        (
            N_("The model {model} brings code of its own that must run to load it."),
            N_("The model brings code of its own that must run to load it."),
        ),
        (N_("If you trust its makers, start it with trust_remote_code; else choose another model."),),
        (
            Sign(
                "custom code which must be executed",
                r"(?:repository|model) (?:for )?`?(?P<model>[^\s`]+)`? contains custom code which must be executed",
            ),
            Sign("contains custom code"),
            Sign(
                "trust_remote_code",
                r"(?:set|pass|enable|use|requires?|adding|with).{0,60}(?:--)?trust[_-]remote[_-]code",
            ),
            Sign(
                "requires you to execute the",
                r"(?:loading )?(?P<model>\S+) requires you to execute the \w+ file in that repo",
            ),
        ),
        advise=fixed(trust_remote_code=None),
    ),
    Cause(
        "tokenizer_missing",
        (N_("The model's tokenizer cannot be loaded: files are missing, or a package for it is."),),
        (
            N_(
                "Check that tokenizer.json or tokenizer.model lies in the model's folder (or name another with "
                "`--tokenizer`), and update transformers."
            ),
        ),
        (
            Sign("can't load tokenizer for"),
            Sign("couldn't instantiate the backend tokenizer"),
            Sign("tokenizer", r"failed to load (?:the )?tokenizer"),
            Sign("tokenizer class", r"tokenizer class \w+ does not exist"),
            Sign("tokenizer", r"error loading (?:model )?(?:vocab|tokenizer)"),
            Sign("data did not match any variant of untagged enum"),
            Sign("unknown pre-tokenizer type"),
            Sign("error loading model vocabulary"),
        ),
    ),
    Cause(
        "chat_template_missing",
        (N_("The model has no chat template, so it cannot answer chats."),),
        (N_("Use an instruction-tuned model, or give a template with `--chat-template`."),),
        (
            Sign(
                "chat template",
                r"chat template is (?:not|no longer) (?:allowed|provided|defined|set)|(?:no|without"
                r" a?|must provide a) chat template",
            ),
            Sign("chat_template", r"(?:chat_template is not set|does not have a chat_?template|no chat_?template)"),
            Sign(
                "supplied chat template",
                r"the supplied chat template.{0,80}(?:looks like a file path|does not exist|doesn't exist)",
            ),
        ),
        LIKELY,
    ),
    Cause(
        "quantization_mismatch",
        (
            N_("The model is quantised with {method}, but {asked} was asked for."),
            N_("The model is quantised in another way than was asked for."),
        ),
        (
            N_("Leave quantization unset, or set it to {method}."),
            N_("Leave quantization unset: the engine reads it from the model."),
        ),
        (
            Sign(
                "does not match the quantization",
                r"model config \((?P<method>[\w-]+)\) does not match the quantization method specified"
                r" in the `?quantization`? argument \((?P<asked>[\w-]+)\)",
            ),
            Sign("cannot find the config file for", r"cannot find the config file for (?P<asked>\w+)"),
        ),
        advise=_of_the_model,
    ),
    Cause(
        "quantization_dtype",
        (
            N_("The quantisation {method} does not work with {dtype}."),
            N_("The model's quantisation does not work with this number format."),
        ),
        (N_("Set dtype to half (float16)."),),
        (
            Sign(
                "is not supported for quantization method",
                r"(?:torch\.)?(?P<dtype>\w+) is not supported for quantization method (?P<method>[\w-]+)",
            ),
        ),
        advise=fixed(dtype="half"),
    ),
    Cause(
        "quantization_unknown",
        (
            N_("This engine does not know the quantisation {method}."),
            N_("This engine does not know the model's quantisation."),
        ),
        (N_("Update the engine, install the package that the log names, or use the model in another form."),),
        (
            Sign(
                "quantization",
                r"(?:unknown|invalid|unsupported) quantization(?: method| type| scheme)?:? '?(?P<method>[\w-]+)?",
            ),
            Sign("quantization", r"no compressed-tensors compatible scheme was found"),
            Sign(
                "not supported",
                r"(?:quantization|quant_method)\W+(?P<method>[\w-]+)\W+(?:is )?not supported(?! for the)",
            ),
        ),
        LIKELY,
    ),
    Cause(
        "prompt_too_long",
        (
            N_("A request of {have} tokens was longer than the context of {limit}; the server itself is not at fault."),
            N_("A request was longer than the server's context; the server itself is not at fault."),
        ),
        (N_("Ask for less at a time, or start the server with a larger max_model_len if the model allows it."),),
        (
            Sign(
                "prompt",
                r"prompt (?:length of |\(?(?:length|total length) )\D{0,3}(?P<have>\d+)\)?,? .{0,20}is"
                r" (?:too long|longer).{0,60}?(?:model|context) length (?:of )?\(?(?P<limit>\d+)",
            ),
            Sign("maximum context length", r"maximum context length is (?P<limit>\d+) tokens.{0,60}?(?P<have>\d+) "),
            Sign("exceeds the available context size"),
        ),
        NOTICE,
    ),
)
