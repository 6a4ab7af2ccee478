"""Every diagnostic code with its title and what it means: one row a code."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding, such as `D010`, for the reference page."""

    code: str
    title: str
    explanation: str


CODES = (
    Code(
        "D001",
        "file cannot be read",
        "The file is missing, may not be read, or is no regular file.",
    ),
    Code(
        "D002",
        "file too large",
        "A scheme has at most 1 MiB of text.",
    ),
    Code(
        "D003",
        "not UTF-8",
        "A scheme is text in UTF-8.",
    ),
    Code(
        "D004",
        "forbidden character",
        "Control characters, and characters that change the direction of text, are "
        "refused even in strings and comments: they make a file look like another.",
    ),
    Code(
        "D005",
        "unknown character",
        "The character has no meaning outside strings and comments.",
    ),
    Code(
        "D006",
        "malformed string",
        'A string stands in double quotes `"` and ends on its own line.',
    ),
    Code(
        "D007",
        "malformed number",
        "A number is digits with an optional fraction and exponent, then an optional "
        "suffix k, M, G or T: `20_000`, `3e-4`, `10M`. A unit stands after a space.",
    ),
    Code(
        "D008",
        "number out of range",
        "Integers have 64 bits, and fractions are finite 64-bit floats.",
    ),
    Code(
        "D009",
        "malformed name",
        "A name has the letters a-z and A-Z, digits and `_`, and starts with no digit.",
    ),
    Code(
        "D010",
        "syntax error",
        "What stands here is not what the language has in this place.",
    ),
    Code(
        "D011",
        "never closed",
        "A `{` or a `(` has no partner.",
    ),
    Code(
        "D012",
        "closes nothing",
        "A `}` or a `)` has no partner.",
    ),
    Code(
        "D013",
        "argument without a name",
        "Arguments are always named, as in `local(every = 50)`.",
    ),
    Code(
        "D014",
        "misplaced scheme name",
        "`scheme NAME` is given at most once, before everything else.",
    ),
    Code(
        "D015",
        "too many tokens",
        "A scheme has at most 100,000 tokens.",
    ),
    Code(
        "D016",
        "nested too deeply",
        "Braces and parentheses nest at most 64 deep.",
    ),
    Code(
        "D017",
        "too many errors",
        "Reading stops at the hundredth error of a file.",
    ),
    Code(
        "D020",
        "unknown block",
        "A file is made of the blocks `model`, `data`, `train`, `hardware`, `mesh`, "
        "`parallelism` and `replicas over`.",
    ),
    Code(
        "D021",
        "unknown argument",
        "The term has no argument of this name.",
    ),
    Code(
        "D022",
        "unknown setting",
        "The block has no setting of this name.",
    ),
    Code(
        "D023",
        "unknown term",
        "What may stand here is a member of a family, such as an optimizer or a "
        "compression, and the family has none of this name.",
    ),
    Code(
        "D024",
        "wrong type",
        "The value is of another type than the one that is wanted.",
    ),
    Code(
        "D025",
        "missing argument",
        "The argument or setting has no default, so it must be given.",
    ),
    Code(
        "D026",
        "given twice",
        "A name may be given once: an argument in a call, a setting or an axis in a "
        "block, a block or a constant in a file.",
    ),
    Code(
        "D027",
        "wrong unit",
        "A time, a bandwidth or a size needs its unit, a number of steps and a share "
        "may have one, and any other number has none.",
    ),
    Code(
        "D028",
        "out of range",
        "The number is less than the least, or more than the greatest, that makes "
        "sense here.",
    ),
    Code(
        "D029",
        "not one of the words",
        "The value is one of a few words, and this is none of them.",
    ),
    Code(
        "D030",
        "used before it is defined",
        "A constant can be used below its `let`, not above it.",
    ),
    Code(
        "D031",
        "unknown constant",
        "A bare word where a value is wanted names a constant, and there is none of "
        "this name.",
    ),
    Code(
        "D032",
        "nested too deeply",
        "Constants that use constants, and calls inside calls, nest at most 32 deep.",
    ),
    Code(
        "D033",
        "cannot be scheduled",
        "`X for N steps, then Y` may stand for a clause of `replicas`, as a whole.",
    ),
    Code(
        "D034",
        "`auto` is not in this release",
        "`auto` asks for a planner that chooses, and this release has none.",
    ),
    Code(
        "D035",
        "term is not in this release",
        "The term is part of the language, but the compiler does not implement it "
        "yet. It is refused rather than replaced by something else.",
    ),
    Code(
        "D036",
        "argument is not in this release",
        "The argument is part of the language, but the compiler implements only its "
        "default.",
    ),
    Code(
        "D037",
        "too many parts",
        "A mesh has at most 16 axes, and a schedule has at most 100 phases.",
    ),
    Code(
        "D038",
        "wrong head of a block",
        "`model` and `data` are followed by a name, `replicas` by `over` and an axis, "
        "and the other blocks by their brace.",
    ),
    Code(
        "D039",
        "statement in the wrong block",
        "Links stand in `hardware`, strategies in `parallelism`, and `name = value` "
        "in all other blocks.",
    ),
    Code(
        "D040",
        "unknown axis",
        "An axis is declared in `mesh` before something can be laid over it.",
    ),
    Code(
        "D041",
        "axis with two roles",
        "An axis holds replicas, or it holds the shards of one strategy.",
    ),
    Code(
        "D042",
        "axis without a role",
        "Every axis of more than one member needs something to do: replicas over it, "
        "or a strategy of parallelism.",
    ),
    Code(
        "D043",
        "link without effect",
        "A warning: the link belongs to an axis that nothing crosses.",
    ),
    Code(
        "D044",
        "batch does not divide",
        "The batch is cut into equal slices, one for each member of the mesh.",
    ),
    Code(
        "D045",
        "tight axis outside a loose one",
        "While the copies over an axis may differ, no axis outside it exchanges "
        "gradients: those that were taken at different parameters have no common "
        "average.",
    ),
    Code(
        "D046",
        "periods that do not nest",
        "When the copies over an outer axis meet, those over an inner axis must have "
        "met at the same step, so the outer period is a multiple of the inner one. A "
        "gossip that is `synchronous` has a period of 1.",
    ),
    Code(
        "D047",
        "phases out of step",
        "Two phases with a period, one inside the other, must start a multiple of the "
        "inner period apart, or their meetings never fall on one step.",
    ),
    Code(
        "D048",
        "phase ends between two meetings",
        "A local phase that another one follows must last a multiple of its period, "
        "so that the copies are equal when it ends.",
    ),
    Code(
        "D049",
        "synchronous after local",
        "Where copies were local, each has an optimizer state of its own. Averaged "
        "gradients keep copies equal only while those states are equal too, so the "
        "local phase must average or reset them.",
    ),
    Code(
        "D050",
        "model does not fit the data",
        "A transformer takes tokens; `mlp` and `convnet` take images and arrays.",
    ),
    Code(
        "D051",
        "loss does not fit the data",
        "A mean squared error needs real numbers for targets, and a cross entropy "
        "needs classes or tokens.",
    ),
    Code(
        "D052",
        "dims do not divide",
        "A dim of the model cannot be divided the way that its layers need.",
    ),
    Code(
        "D053",
        "warm-up does not fit",
        "The warm-up of `warmup_cosine` and `warmup_linear` must end before the run "
        "does.",
    ),
    Code(
        "D054",
        "rule does not go with the centralization",
        "A server takes gradients, neighbours mix parameters, and adasum and votes "
        "join what belongs to one step: each takes the rules that make sense for it.",
    ),
    Code(
        "D055",
        "codec does not go with the centralization",
        "The messages of a codec must be such that the centralization can join them: "
        "add them up on the way, or decode each by itself.",
    ),
    Code(
        "D056",
        "codec does not go with the rule",
        "`onebit` and `dgc` carry the momentum of gradients, so that they need a rule "
        "which exchanges gradients.",
    ),
    Code(
        "D057",
        "number of members does not fit",
        "Some ways of talking need a power of two, or an even number, of members, and "
        "a server has no more shards or late members than it has members.",
    ),
    Code(
        "D058",
        "arguments do not fit each other",
        "Two arguments of one term contradict each other.",
    ),
    Code(
        "D059",
        "phase in the wrong place",
        "What leaves the copies apart for good comes last in a schedule, 1-bit Adam "
        "comes first, and a parameter server stays for the whole run.",
    ),
    Code(
        "D060",
        "unused constant",
        "A warning: nothing uses the constant.",
    ),
    Code(
        "D061",
        "biased codec without feedback",
        "A warning: what the codec rounds away is lost at every exchange, instead of "
        "being added to the next one.",
    ),
    Code(
        "D062",
        "copies never meet",
        "A warning: the period of an axis is longer than the run, a part of the model "
        "first lands after the run's end, or what the copies agree on is merged into "
        "none of them.",
    ),
    Code(
        "D063",
        "copies end apart",
        "A warning: the run is no multiple of the period, so the last steps are never "
        "exchanged. Of a model that is exchanged in parts or late, the run ends "
        "between two landings, or while a part is on its way.",
    ),
    Code(
        "D064",
        "averaging at every step",
        "A warning: `local(every = 1)` with a plain average is nearly `synchronous`.",
    ),
    Code(
        "D065",
        "phase is never reached",
        "A warning: the run ends before the phase begins, or before its codec does.",
    ),
    Code(
        "D066",
        "setting without effect",
        "A warning: the setting changes nothing in this scheme.",
    ),
    Code(
        "D067",
        "nothing is declared",
        "A warning: the file has no block, so that there is nothing to train.",
    ),
    Code(
        "D068",
        "codec that does not pay",
        "A warning: with this codec no fewer bytes cross the axis than without it.",
    ),
    Code(
        "D069",
        "momentum twice",
        "A warning: `dgc` has a momentum of its own, and the optimizer smooths what it "
        "sends once more.",
    ),
    Code(
        "D070",
        "malformed override",
        "An override is `path=value`, with one value.",
    ),
    Code(
        "D071",
        "override leads nowhere",
        "The path of an override names a part that the scheme does not have.",
    ),
    Code(
        "D080",
        "optimizer does not fit",
        "A parameter server cuts all parameters into equal parts, so that its "
        "optimizer must treat each value by itself; 1-bit Adam needs Adam, as its "
        "paper has it.",
    ),
    Code(
        "D081",
        "gradients outside a parameter server",
        "A parameter server turns gradients into an update, so that an axis outside it "
        "finds no gradient to exchange.",
    ),
    Code(
        "D082",
        "two axes with versions",
        "The age of a member's parameters is set by one axis at most.",
    ),
    Code(
        "D083",
        "streaming beside another loose axis",
        "A model that is exchanged in parts, or late, is at no step equal on all "
        "copies, so no other axis of the scheme may be loose.",
    ),
    Code(
        "D084",
        "feedback where there can be none",
        "Neighbours and votes leave a codec no place for what it lost, so that its "
        "feedback must be off.",
    ),
    Code(
        "D085",
        "unknown preset",
        "`include` names one of the presets that ship with Diamond, and there is none "
        "of this name.",
    ),
    Code(
        "D086",
        "include in the wrong place",
        "What a block includes stands before the settings that override it.",
    ),
    Code(
        "D087",
        "more fragments than layers",
        "A model is cut into fragments at its layers, and a layer goes to one fragment "
        "as a whole. Of a model from Python this is known once it is compiled.",
    ),
    Code(
        "D088",
        "pattern that matches no tensor",
        "`exclude` names tensors that are not there. Their names are known once the "
        "model is made, so that `explain`, `compile` and `run` find this, and `check` "
        "does not.",
    ),
    Code(
        "D089",
        "an average of what was begun afresh",
        "Where the copies over an axis inside begin the optimizer's state afresh as "
        "they meet, an axis outside finds equal states, and has nothing to average.",
    ),
    Code(
        "D090",
        "a strategy over two axes",
        "One copy of a model is cut up by a strategy over one axis; two axes of "
        "devices are one axis of `mesh` with the product of their sizes.",
    ),
    Code(
        "D091",
        "replicas inside one copy",
        "The devices that hold one copy between them talk the most, so their axes "
        "stand inside those of the copies: `mesh` lists axes from the outermost.",
    ),
    Code(
        "D092",
        "layers cannot be cut so",
        "`tensor` gives each device an equal number of heads and hidden units, for "
        "models whose layers are written for it.",
    ),
    Code(
        "D093",
        "exchange of whole copies",
        "Copies that are cut up are exchanged cut by cut, which is not what this "
        "choice means.",
    ),
    Code(
        "D094",
        "no blocks to compute again",
        "`remat` forgets what is inside a block of the model; models without blocks "
        "have nothing to forget.",
    ),
    Code(
        "D095",
        "tokens cannot be cut so",
        "`sequence` cuts rows of tokens into equal chunks: two a device for a ring, "
        "one for an all-to-all.",
    ),
    Code(
        "D096",
        "heads cannot be dealt out so",
        "`sequence(method = all_to_all)` gives each device all tokens of equally many "
        "attention heads; those of a `tensor` axis are cut first.",
    ),
    Code(
        "D097",
        "no tokens to spread",
        "`sequence` spreads rows of tokens over devices, which a `transformer` takes "
        "and no other model.",
    ),
    Code(
        "D098",
        "second moment of some values is zero",
        "1-bit Adam freezes the second moment and divides by it, so that all values "
        "must have one by then.",
    ),
    Code(
        "D100",
        "no blocks for a pipeline",
        "A pipeline gives each stage some of a model's blocks, so that the model must "
        "have blocks that are alike.",
    ),
    Code(
        "D101",
        "blocks do not divide among stages",
        "Every stage of a pipeline, and every chunk of it, has equally many blocks.",
    ),
    Code(
        "D102",
        "chunks without a round",
        "`interleaved` sends microbatches round through several chunks a stage; the "
        "other schedules have one.",
    ),
    Code(
        "D103",
        "microbatches in uneven groups",
        "`interleaved` takes as many microbatches at a time as there are stages, so "
        "that their number is a multiple of it.",
    ),
    Code(
        "D104",
        "microbatches do not divide the batch",
        "A pipeline cuts what its devices take at once into equal microbatches.",
    ),
    Code(
        "D105",
        "no companion of a pipeline",
        "Stages of a pipeline work by turns, and messages from device to device, or "
        "what a schedule keeps from turn to turn, may not go with that.",
    ),
    Code(
        "D106",
        "unknown name of a dim",
        "A tensor axis cuts the dims that are named `heads`, `kv_heads`, `mlp` or "
        "`vocab`, and leaves those named `embed`, `none` or `_` whole.",
    ),
    Code(
        "D107",
        "no parameter to cut",
        "The dims of a parameter of your own model are named by the first rule `shard` "
        "that matches its path, or by the module itself; without a name it is whole on "
        "every device.",
    ),
    Code(
        "D108",
        "names do not fit the dims",
        "Each dim of a parameter has a name, and one of them is cut over a tensor "
        "axis, or none.",
    ),
    Code(
        "D109",
        "dim does not divide",
        "Each device of a tensor axis holds an equal part of a dim of your own model "
        "that is named to be cut.",
    ),
    Code(
        "D110",
        "experts do not divide among devices",
        "Every device of an `expert` axis holds equally many experts of each layer.",
    ),
    Code(
        "D111",
        "more choices than experts",
        "`top_k` experts of a token differ, so that there must be as many.",
    ),
    Code(
        "D112",
        "no layers to make mixtures of",
        "`expert` makes mixtures of experts of the feed-forward layers of a "
        "`transformer`; no other model has them.",
    ),
    Code(
        "D113",
        "no companion of experts",
        "Tokens of whole examples are routed together and cross to their experts at "
        "once, which this strategy leaves no way for.",
    ),
    Code(
        "D114",
        "room that no token takes",
        "A warning: with `capacity = experts / top_k` each expert has room for every "
        "token; what is beyond would be computed for nothing, and is not.",
    ),
    Code(
        "D115",
        "no columns to cut",
        "`features` gives each device some columns of the data and the rows of the "
        "first layer for them, which an `mlp` has and no other model.",
    ),
    Code(
        "D116",
        "columns cannot be cut so",
        "`features` cuts the first dim of an example into equal parts: its columns, or "
        "the rows of an image.",
    ),
    Code(
        "D117",
        "ensemble inside another axis",
        "Members of an ensemble share nothing, so that all other axes stand inside of "
        "a member: `mesh` lists axes from the outermost.",
    ),
    Code(
        "D118",
        "nothing to vote on",
        "A vote counts the classes that members predict; where targets are numbers or "
        "tokens there is none to count.",
    ),
    Code(
        "D119",
        "nothing to distil",
        "`distill` trains one model on the probabilities that the members of an "
        "ensemble predict, so that there must be an ensemble, and classes or tokens.",
    ),
    Code(
        "D120",
        "codec does not go with `zero`",
        "Under `zero` each member sends a piece of its gradient to each owner of "
        "shards, so that a codec must code each piece by itself.",
    ),
    Code(
        "D121",
        "heads in uneven groups",
        "A head of keys and values serves a group of attention heads, and all groups "
        "are equally large.",
    ),
    Code(
        "D122",
        "codec that codes no tensor",
        "Under `zero` a tensor is coded if its piece for each device fills a block, "
        "and no tensor of the model does. This is known once the model is made.",
    ),
    Code(
        "D123",
        "model of your own that has no stages",
        "A pipeline takes a model of your own apart into `embed`, a list `blocks` and "
        "`head`, and calls them one after another.",
    ),
    Code(
        "D124",
        "blocks that are not alike",
        "Any stage runs any block of your own model, so that all have the same "
        "parameters and give what they take.",
    ),
    Code(
        "D125",
        "loss that a pipeline cannot take apart",
        "The last stage of a pipeline gives your loss what the model's call gave, and "
        "has no whole model.",
    ),
)
