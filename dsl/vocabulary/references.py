"""The papers that the algorithms of the language come from.

Rows of the vocabulary's tables, and arguments, name their keys.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["article", "inproceedings", "misc"]

_NEURIPS = "Advances in Neural Information Processing Systems"
_ICLR = "International Conference on Learning Representations"
_ICML = "International Conference on Machine Learning"


@dataclass(frozen=True, slots=True)
class Reference:
    """A paper.

    Attributes:
        key: What a citation names it by.
        authors: Their names, in the paper's order.
        title: The title, as the paper writes it.
        year: The year of `venue`, or of the preprint.
        venue: The conference or the journal; None for a preprint.
        eprint: The number at arXiv, where it has one.
        kind: What BibTeX calls it.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    year: int
    venue: str | None = None
    eprint: str | None = None
    kind: Kind = "inproceedings"


REFERENCES = (
    Reference(
        "alistarh2017qsgd",
        (
            "Dan Alistarh",
            "Demjan Grubic",
            "Jerry Li",
            "Ryota Tomioka",
            "Milan Vojnovic",
        ),
        "QSGD: Communication-Efficient SGD via Gradient Quantization and Encoding",
        2017,
        _NEURIPS,
        "1610.02132",
    ),
    Reference(
        "alistarh2018convergence",
        (
            "Dan Alistarh",
            "Torsten Hoefler",
            "Mikael Johansson",
            "Sarit Khirirat",
            "Nikola Konstantinov",
            "Cédric Renggli",
        ),
        "The Convergence of Sparsified Gradient Methods",
        2018,
        _NEURIPS,
        "1809.10505",
    ),
    Reference(
        "assran2019stochastic",
        ("Mahmoud Assran", "Nicolas Loizou", "Nicolas Ballas", "Michael Rabbat"),
        "Stochastic Gradient Push for Distributed Deep Learning",
        2019,
        _ICML,
        "1811.10792",
    ),
    Reference(
        "bernstein2018signsgd",
        (
            "Jeremy Bernstein",
            "Yu-Xiang Wang",
            "Kamyar Azizzadenesheli",
            "Anima Anandkumar",
        ),
        "signSGD: Compressed Optimisation for Non-Convex Problems",
        2018,
        _ICML,
        "1802.04434",
    ),
    Reference(
        "bernstein2019majority",
        (
            "Jeremy Bernstein",
            "Jiawei Zhao",
            "Kamyar Azizzadenesheli",
            "Anima Anandkumar",
        ),
        "signSGD with Majority Vote is Communication Efficient And Fault Tolerant",
        2019,
        _ICLR,
        "1810.05291",
    ),
    Reference(
        "chen2016revisiting",
        (
            "Jianmin Chen",
            "Xinghao Pan",
            "Rajat Monga",
            "Samy Bengio",
            "Rafal Jozefowicz",
        ),
        "Revisiting Distributed Synchronous SGD",
        2016,
        eprint="1604.00981",
        kind="misc",
    ),
    Reference(
        "chen2016scalable",
        ("Kai Chen", "Qiang Huo"),
        "Scalable Training of Deep Learning Machines by Incremental Block Training "
        "with Intra-block Parallel Optimization and Blockwise Model-Update Filtering",
        2016,
        "IEEE International Conference on Acoustics, Speech and Signal Processing",
    ),
    Reference(
        "dean2012large",
        (
            "Jeffrey Dean",
            "Greg Corrado",
            "Rajat Monga",
            "Kai Chen",
            "Matthieu Devin",
            "Mark Mao",
            "Marc'Aurelio Ranzato",
            "Andrew Senior",
            "Paul Tucker",
            "Ke Yang",
            "Quoc V. Le",
            "Andrew Y. Ng",
        ),
        "Large Scale Distributed Deep Networks",
        2012,
        _NEURIPS,
    ),
    Reference(
        "dettmers2016bit",
        ("Tim Dettmers",),
        "8-Bit Approximations for Parallelism in Deep Learning",
        2016,
        _ICLR,
        "1511.04561",
    ),
    Reference(
        "dettmers2022bit",
        ("Tim Dettmers", "Mike Lewis", "Sam Shleifer", "Luke Zettlemoyer"),
        "8-bit Optimizers via Block-wise Quantization",
        2022,
        _ICLR,
        "2110.02861",
    ),
    Reference(
        "douillard2023diloco",
        (
            "Arthur Douillard",
            "Qixuan Feng",
            "Andrei A. Rusu",
            "Rachita Chhaparia",
            "Yani Donchev",
            "Adhiguna Kuncoro",
            "Marc'Aurelio Ranzato",
            "Arthur Szlam",
            "Jiajun Shen",
        ),
        "DiLoCo: Distributed Low-Communication Training of Language Models",
        2023,
        eprint="2311.08105",
        kind="misc",
    ),
    Reference(
        "douillard2025streaming",
        (
            "Arthur Douillard",
            "Yanislav Donchev",
            "Keith Rush",
            "Satyen Kale",
            "Zachary Charles",
            "Zachary Garrett",
            "Gabriel Teston",
            "Dave Lacey",
            "Ross McIlroy",
            "Jiajun Shen",
            "Alexandre Ramé",
            "Arthur Szlam",
            "Marc'Aurelio Ranzato",
            "Paul Barham",
        ),
        "Streaming DiLoCo with overlapping communication: Towards a Distributed Free "
        "Lunch",
        2025,
        eprint="2501.18512",
        kind="misc",
    ),
    Reference(
        "fedus2022switch",
        ("William Fedus", "Barret Zoph", "Noam Shazeer"),
        "Switch Transformers: Scaling to Trillion Parameter Models with Simple and "
        "Efficient Sparsity",
        2022,
        "Journal of Machine Learning Research",
        "2101.03961",
        kind="article",
    ),
    Reference(
        "hansen1990neural",
        ("Lars Kai Hansen", "Peter Salamon"),
        "Neural network ensembles",
        1990,
        "IEEE Transactions on Pattern Analysis and Machine Intelligence",
        kind="article",
    ),
    Reference(
        "hinton2015distilling",
        ("Geoffrey Hinton", "Oriol Vinyals", "Jeff Dean"),
        "Distilling the Knowledge in a Neural Network",
        2015,
        eprint="1503.02531",
        kind="misc",
    ),
    Reference(
        "ho2013more",
        (
            "Qirong Ho",
            "James Cipar",
            "Henggang Cui",
            "Seunghak Lee",
            "Jin Kyu Kim",
            "Phillip B. Gibbons",
            "Garth A. Gibson",
            "Gregory R. Ganger",
            "Eric P. Xing",
        ),
        "More Effective Distributed ML via a Stale Synchronous Parallel Parameter "
        "Server",
        2013,
        _NEURIPS,
    ),
    Reference(
        "huang2019gpipe",
        (
            "Yanping Huang",
            "Youlong Cheng",
            "Ankur Bapna",
            "Orhan Firat",
            "Mia Xu Chen",
            "Dehao Chen",
            "HyoukJoong Lee",
            "Jiquan Ngiam",
            "Quoc V. Le",
            "Yonghui Wu",
            "Zhifeng Chen",
        ),
        "GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism",
        2019,
        _NEURIPS,
        "1811.06965",
    ),
    Reference(
        "jacobs2023deepspeed",
        (
            "Sam Ade Jacobs",
            "Masahiro Tanaka",
            "Chengming Zhang",
            "Minjia Zhang",
            "Shuaiwen Leon Song",
            "Samyam Rajbhandari",
            "Yuxiong He",
        ),
        "DeepSpeed Ulysses: System Optimizations for Enabling Training of Extreme Long "
        "Sequence Transformer Models",
        2023,
        eprint="2309.14509",
        kind="misc",
    ),
    Reference(
        "karimireddy2019error",
        (
            "Sai Praneeth Karimireddy",
            "Quentin Rebjock",
            "Sebastian U. Stich",
            "Martin Jaggi",
        ),
        "Error Feedback Fixes SignSGD and other Gradient Compression Schemes",
        2019,
        _ICML,
        "1901.09847",
    ),
    Reference(
        "koloskova2019decentralized",
        ("Anastasia Koloskova", "Sebastian U. Stich", "Martin Jaggi"),
        "Decentralized Stochastic Optimization and Gossip Algorithms with Compressed "
        "Communication",
        2019,
        _ICML,
        "1902.00340",
    ),
    Reference(
        "lakshminarayanan2017simple",
        ("Balaji Lakshminarayanan", "Alexander Pritzel", "Charles Blundell"),
        "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
        2017,
        _NEURIPS,
        "1612.01474",
    ),
    Reference(
        "lepikhin2021gshard",
        (
            "Dmitry Lepikhin",
            "HyoukJoong Lee",
            "Yuanzhong Xu",
            "Dehao Chen",
            "Orhan Firat",
            "Yanping Huang",
            "Maxim Krikun",
            "Noam Shazeer",
            "Zhifeng Chen",
        ),
        "GShard: Scaling Giant Models with Conditional Computation and Automatic "
        "Sharding",
        2021,
        _ICLR,
        "2006.16668",
    ),
    Reference(
        "li2014scaling",
        (
            "Mu Li",
            "David G. Andersen",
            "Jun Woo Park",
            "Alexander J. Smola",
            "Amr Ahmed",
            "Vanja Josifovski",
            "James Long",
            "Eugene J. Shekita",
            "Bor-Yiing Su",
        ),
        "Scaling Distributed Machine Learning with the Parameter Server",
        2014,
        "USENIX Symposium on Operating Systems Design and Implementation",
    ),
    Reference(
        "li2018pipe",
        (
            "Youjie Li",
            "Mingchao Yu",
            "Songze Li",
            "Salman Avestimehr",
            "Nam Sung Kim",
            "Alexander Schwing",
        ),
        "Pipe-SGD: A Decentralized Pipelined SGD Framework for Distributed Deep Net "
        "Training",
        2018,
        _NEURIPS,
        "1811.03619",
    ),
    Reference(
        "li2020pytorch",
        (
            "Shen Li",
            "Yanli Zhao",
            "Rohan Varma",
            "Omkar Salpekar",
            "Pieter Noordhuis",
            "Teng Li",
            "Adam Paszke",
            "Jeff Smith",
            "Brian Vaughan",
            "Pritam Damania",
            "Soumith Chintala",
        ),
        "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
        2020,
        "Proceedings of the VLDB Endowment",
        "2006.15704",
        "article",
    ),
    Reference(
        "lian2017can",
        (
            "Xiangru Lian",
            "Ce Zhang",
            "Huan Zhang",
            "Cho-Jui Hsieh",
            "Wei Zhang",
            "Ji Liu",
        ),
        "Can Decentralized Algorithms Outperform Centralized Algorithms? A Case Study "
        "for Decentralized Parallel Stochastic Gradient Descent",
        2017,
        _NEURIPS,
        "1705.09056",
    ),
    Reference(
        "lin2018deep",
        ("Yujun Lin", "Song Han", "Huizi Mao", "Yu Wang", "William J. Dally"),
        "Deep Gradient Compression: Reducing the Communication Bandwidth for "
        "Distributed Training",
        2018,
        _ICLR,
        "1712.01887",
    ),
    Reference(
        "lin2020dont",
        ("Tao Lin", "Sebastian U. Stich", "Kumar Kshitij Patel", "Martin Jaggi"),
        "Don't Use Large Mini-Batches, Use Local SGD",
        2020,
        _ICLR,
        "1808.07217",
    ),
    Reference(
        "liu2024ring",
        ("Hao Liu", "Matei Zaharia", "Pieter Abbeel"),
        "Ring Attention with Blockwise Transformers for Near-Infinite Context",
        2024,
        _ICLR,
        "2310.01889",
    ),
    Reference(
        "maleki2021scaling",
        (
            "Saeed Maleki",
            "Madan Musuvathi",
            "Todd Mytkowicz",
            "Olli Saarikivi",
            "Tianju Xu",
            "Vadim Eksarevskiy",
            "Jaliya Ekanayake",
            "Emad Barsoum",
        ),
        "Scaling Distributed Training with Adaptive Summation",
        2021,
        "Proceedings of Machine Learning and Systems",
        "2006.02924",
    ),
    Reference(
        "mcmahan2017communication",
        (
            "H. Brendan McMahan",
            "Eider Moore",
            "Daniel Ramage",
            "Seth Hampson",
            "Blaise Agüera y Arcas",
        ),
        "Communication-Efficient Learning of Deep Networks from Decentralized Data",
        2017,
        "International Conference on Artificial Intelligence and Statistics",
        "1602.05629",
    ),
    Reference(
        "micikevicius2022fp8",
        (
            "Paulius Micikevicius",
            "Dusan Stosic",
            "Neil Burgess",
            "Marius Cornea",
            "Pradeep Dubey",
            "Richard Grisenthwaite",
            "Sangwon Ha",
            "Alexander Heinecke",
            "Patrick Judd",
            "John Kamalu",
            "Naveen Mellempudi",
            "Stuart Oberman",
            "Mohammad Shoeybi",
            "Michael Siu",
            "Hao Wu",
        ),
        "FP8 Formats for Deep Learning",
        2022,
        eprint="2209.05433",
        kind="misc",
    ),
    Reference(
        "narayanan2021efficient",
        (
            "Deepak Narayanan",
            "Mohammad Shoeybi",
            "Jared Casper",
            "Patrick LeGresley",
            "Mostofa Patwary",
            "Vijay Anand Korthikanti",
            "Dmitri Vainbrand",
            "Prethvi Kashinkunti",
            "Julie Bernauer",
            "Bryan Catanzaro",
            "Amar Phanishayee",
            "Matei Zaharia",
        ),
        "Efficient Large-Scale Language Model Training on GPU Clusters Using "
        "Megatron-LM",
        2021,
        "International Conference for High Performance Computing, Networking, Storage "
        "and Analysis",
        "2104.04473",
    ),
    Reference(
        "niu2011hogwild",
        ("Feng Niu", "Benjamin Recht", "Christopher Ré", "Stephen J. Wright"),
        "HOGWILD!: A Lock-Free Approach to Parallelizing Stochastic Gradient Descent",
        2011,
        _NEURIPS,
        "1106.5730",
    ),
    Reference(
        "patarasuk2009bandwidth",
        ("Pitch Patarasuk", "Xin Yuan"),
        "Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations",
        2009,
        "Journal of Parallel and Distributed Computing",
        kind="article",
    ),
    Reference(
        "qi2024zero",
        ("Penghui Qi", "Xinyi Wan", "Guangxing Huang", "Min Lin"),
        "Zero Bubble Pipeline Parallelism",
        2024,
        _ICLR,
        "2401.10241",
    ),
    Reference(
        "rajbhandari2020zero",
        ("Samyam Rajbhandari", "Jeff Rasley", "Olatunji Ruwase", "Yuxiong He"),
        "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
        2020,
        "International Conference for High Performance Computing, Networking, Storage "
        "and Analysis",
        "1910.02054",
    ),
    Reference(
        "shazeer2017outrageously",
        (
            "Noam Shazeer",
            "Azalia Mirhoseini",
            "Krzysztof Maziarz",
            "Andy Davis",
            "Quoc Le",
            "Geoffrey Hinton",
            "Jeff Dean",
        ),
        "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts "
        "Layer",
        2017,
        _ICLR,
        "1701.06538",
    ),
    Reference(
        "shoeybi2019megatron",
        (
            "Mohammad Shoeybi",
            "Mostofa Patwary",
            "Raul Puri",
            "Patrick LeGresley",
            "Jared Casper",
            "Bryan Catanzaro",
        ),
        "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model "
        "Parallelism",
        2019,
        eprint="1909.08053",
        kind="misc",
    ),
    Reference(
        "stich2018local",
        ("Sebastian U. Stich",),
        "Local SGD Converges Fast and Communicates Little",
        2019,
        _ICLR,
        "1805.09767",
    ),
    Reference(
        "stich2018sparsified",
        ("Sebastian U. Stich", "Jean-Baptiste Cordonnier", "Martin Jaggi"),
        "Sparsified SGD with Memory",
        2018,
        _NEURIPS,
        "1809.07599",
    ),
    Reference(
        "tang2021bit",
        (
            "Hanlin Tang",
            "Shaoduo Gan",
            "Ammar Ahmad Awan",
            "Samyam Rajbhandari",
            "Conglong Li",
            "Xiangru Lian",
            "Ji Liu",
            "Ce Zhang",
            "Yuxiong He",
        ),
        "1-bit Adam: Communication Efficient Large-Scale Training with Adam's "
        "Convergence Speed",
        2021,
        _ICML,
        "2102.02888",
    ),
    Reference(
        "thakur2005optimization",
        ("Rajeev Thakur", "Rolf Rabenseifner", "William Gropp"),
        "Optimization of Collective Communication Operations in MPICH",
        2005,
        "International Journal of High Performance Computing Applications",
        kind="article",
    ),
    Reference(
        "vogels2019powersgd",
        ("Thijs Vogels", "Sai Praneeth Karimireddy", "Martin Jaggi"),
        "PowerSGD: Practical Low-Rank Gradient Compression for Distributed "
        "Optimization",
        2019,
        _NEURIPS,
        "1905.13727",
    ),
    Reference(
        "wang2020slowmo",
        ("Jianyu Wang", "Vinayak Tantia", "Nicolas Ballas", "Michael Rabbat"),
        "SlowMo: Improving Communication-Efficient Distributed SGD with Slow Momentum",
        2020,
        _ICLR,
        "1910.00643",
    ),
    Reference(
        "wang2023zero",
        (
            "Guanhua Wang",
            "Heyang Qin",
            "Sam Ade Jacobs",
            "Connor Holmes",
            "Samyam Rajbhandari",
            "Olatunji Ruwase",
            "Feng Yan",
            "Lei Yang",
            "Yuxiong He",
        ),
        "ZeRO++: Extremely Efficient Collective Communication for Giant Model Training",
        2023,
        eprint="2306.10209",
        kind="misc",
    ),
    Reference(
        "wen2017terngrad",
        (
            "Wei Wen",
            "Cong Xu",
            "Feng Yan",
            "Chunpeng Wu",
            "Yandan Wang",
            "Yiran Chen",
            "Hai Li",
        ),
        "TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep "
        "Learning",
        2017,
        _NEURIPS,
        "1705.07878",
    ),
    Reference(
        "yang2019federated",
        ("Qiang Yang", "Yang Liu", "Tianjian Chen", "Yongxin Tong"),
        "Federated Machine Learning: Concept and Applications",
        2019,
        "ACM Transactions on Intelligent Systems and Technology",
        "1902.04885",
        "article",
    ),
    Reference(
        "yu2018gradiveq",
        (
            "Mingchao Yu",
            "Zhifeng Lin",
            "Krishna Narra",
            "Songze Li",
            "Youjie Li",
            "Nam Sung Kim",
            "Alexander Schwing",
            "Murali Annavaram",
            "Salman Avestimehr",
        ),
        "GradiVeQ: Vector Quantization for Bandwidth-Efficient Gradient Aggregation in "
        "Distributed CNN Training",
        2018,
        _NEURIPS,
        "1811.03617",
    ),
    Reference(
        "zhang2015deep",
        ("Sixin Zhang", "Anna Choromanska", "Yann LeCun"),
        "Deep learning with Elastic Averaging SGD",
        2015,
        _NEURIPS,
        "1412.6651",
    ),
    Reference(
        "zhang2016staleness",
        ("Wei Zhang", "Suyog Gupta", "Xiangru Lian", "Ji Liu"),
        "Staleness-aware Async-SGD for Distributed Deep Learning",
        2016,
        "International Joint Conference on Artificial Intelligence",
        "1511.05950",
    ),
    Reference(
        "zheng2017asynchronous",
        (
            "Shuxin Zheng",
            "Qi Meng",
            "Taifeng Wang",
            "Wei Chen",
            "Nenghai Yu",
            "Zhi-Ming Ma",
            "Tie-Yan Liu",
        ),
        "Asynchronous Stochastic Gradient Descent with Delay Compensation",
        2017,
        _ICML,
        "1609.08326",
    ),
    Reference(
        "zheng2019communication",
        ("Shuai Zheng", "Ziyue Huang", "James T. Kwok"),
        "Communication-Efficient Distributed Blockwise Momentum SGD with "
        "Error-Feedback",
        2019,
        _NEURIPS,
        "1905.10936",
    ),
)


def reference(key: str) -> Reference:
    """Returns the paper of a key.

    Raises:
        KeyError: If there is none.

    Example:
        >>> reference("stich2018local").title
        'Local SGD Converges Fast and Communicates Little'
    """
    return _BY_KEY[key]


_BY_KEY = {one.key: one for one in REFERENCES}
