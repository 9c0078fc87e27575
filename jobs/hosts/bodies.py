"""The bodies of graph networks by name."""

from collections.abc import Mapping

from jobs.hosts.appnp import APPNP
from jobs.hosts.dagnn import DAGNN
from jobs.hosts.gat import GAT
from jobs.hosts.gcn import GCN
from jobs.hosts.gcnii import GCNII
from jobs.hosts.gnn import Block
from jobs.hosts.gprgnn import GPRGNN
from jobs.hosts.sgc import SGC

BODIES: Mapping[str, type[Block]] = {
    "gcn": GCN,
    "gat": GAT,
    "sgc": SGC,
    "gcnii": GCNII,
    "appnp": APPNP,
    "dagnn": DAGNN,
    "gprgnn": GPRGNN,
}
