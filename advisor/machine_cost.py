"""What a plan's machine draws, and what it costs to buy or to rent: figures with their sources.

A figure that neither the user nor the catalog gives stays None: the option that needs it is shown as unknown.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from pydantic import Field

from advisor.assessment import Candidate
from advisor.demand import Number
from advisor.hardware import GPU_RESERVE_BYTES, Gpu, Machine
from advisor.i18n import _
from advisor.units import GB, GIB
from advisor.value import Value

Region = Literal["us", "eu", "kr"]

HOST_BUSY_SHARE: Final = 0.1
"""Weights on the host above this share mean that the CPU computes too; below it lies the embedding table."""
VRAM_TOLERANCE: Final = 0.1
"""Drivers report up to a tenth less than the size a card is sold with."""
_MAKERS: Final = frozenset({"nvidia", "geforce", "amd", "radeon", "intel", "tesla", "gpu"})


class Figure(Value):
    """A number that a cost rests on, with where and when it held."""

    value: Number
    unit: str
    source: str
    date: date | None


class Assumption(Value):
    """A figure by name, as it is listed under a comparison."""

    name: str
    value: Number | None
    """None: unknown, and so is what depends on it."""
    unit: str
    source: str
    date: date | None

    @classmethod
    def of(cls, name: str, figure: Figure) -> Assumption:
        """A figure of the catalog, whose unit and source are texts of ours."""
        return cls(name=name, **{**dict(figure), "unit": _(figure.unit), "source": _(figure.source)})

    @classmethod
    def given(cls, name: str, value: Decimal, unit: str, flag: str) -> Assumption:
        """A figure that the user stated."""
        return cls(
            name=name, value=value, unit=unit, source=_("given with {flag}").format(flag=flag), date=None
        )

    @classmethod
    def unknown(cls, name: str, unit: str, why: str) -> Assumption:
        """A figure that is not known, with what to do about it."""
        return cls(name=name, value=None, unit=unit, source=why, date=None)


class GpuPrice(Value):
    """What one GPU costs, to buy or by the hour."""

    name: str
    names: tuple[str, ...] = Field(min_length=1)
    """Spellings by which drivers and people know it."""
    vram_gib: int = Field(gt=0)
    bandwidth_gb_per_s: int | None = Field(default=None, gt=0)
    usd: Number = Field(gt=0)


class PriceList(Value):
    """Prices of one seller, read on one day."""

    seller: str
    source: str
    date: date
    gpus: tuple[GpuPrice, ...]


class Electricity(Value):
    """Prices of a kilowatt-hour."""

    us: Figure
    eu: Figure
    kr: Figure


class ApiList(Value):
    """Which release of the API price list the catalog was checked with."""

    version: str
    published: date


class DefaultApis(Value):
    """The API models that a comparison shows unless others are asked for."""

    chat: tuple[str, ...]
    embedding: tuple[str, ...]


class CostCatalog(Value):
    """`catalog/cloud.yaml`."""

    checked: date
    genai_prices: ApiList
    default_apis: DefaultApis
    electricity: Electricity
    psu_efficiency: Figure
    gpu_load_share: Figure
    gpu_idle_watts: Figure
    host_idle_watts: Figure
    host_load_watts: Figure
    life_years: Figure
    residual_share: Figure
    rentals: tuple[PriceList, ...]
    purchases: tuple[PriceList, ...]


class Given(Value):
    """Figures that the user states: they outrank the catalog's."""

    usd_per_kwh: Decimal | None = Field(default=None, gt=0)
    purchase_usd: Decimal | None = Field(default=None, gt=0)
    rent_usd_per_hour: Decimal | None = Field(default=None, gt=0)
    load_watts: Decimal | None = Field(default=None, gt=0)
    idle_watts: Decimal | None = Field(default=None, gt=0)
    life_years: Decimal | None = Field(default=None, gt=0)
    residual_share: Decimal | None = Field(default=None, ge=0, le=1)
    labour_usd_per_month: Decimal | None = Field(default=None, ge=0)


class MachineTerms(Value):
    """Everything that one machine's cost is reckoned from; each figure knows where it comes from."""

    usd_per_kwh: Assumption
    load_watts: Assumption
    idle_watts: Assumption
    purchase_usd: Assumption
    rent_usd_per_hour: Assumption
    life_years: Assumption
    residual_share: Assumption
    labour_usd_per_month: Assumption | None
    """None: not counted."""
    basis: tuple[Assumption, ...] = ()
    """Figures that the watts were worked out from."""

    @property
    def labour_per_month(self) -> Decimal:
        """Labour in USD as far as it is counted."""
        labour = self.labour_usd_per_month
        return Decimal(0) if labour is None or labour.value is None else labour.value

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """All of them, in the order they are listed."""
        labour = (self.labour_usd_per_month,) if self.labour_usd_per_month else ()
        return (
            self.usd_per_kwh,
            self.load_watts,
            self.idle_watts,
            *self.basis,
            self.purchase_usd,
            self.life_years,
            self.residual_share,
            self.rent_usd_per_hour,
            *labour,
        )


def machine_terms(
    machine: Machine, choice: Candidate, catalog: CostCatalog, region: Region, given: Given
) -> MachineTerms:
    """The figures for serving `choice` on `machine`: the user's where given, else the catalog's."""
    per_kwh: Figure = getattr(catalog.electricity, region)
    load, idle = _power(machine, choice, catalog, given)
    return MachineTerms(
        usd_per_kwh=_or_given(
            Assumption.of(_("electricity, {region}").format(region=region.upper()), per_kwh),
            given.usd_per_kwh,
            "--kwh-price",
        ),
        load_watts=load,
        idle_watts=idle,
        basis=_power_basis(machine, choice, catalog),
        purchase_usd=_purchase(machine, catalog.purchases)
        if given.purchase_usd is None
        else Assumption.given(_("purchase price"), given.purchase_usd, "USD", "--purchase-price"),
        rent_usd_per_hour=_rent(machine, choice, catalog.rentals)
        if given.rent_usd_per_hour is None
        else Assumption.given(_("rent"), given.rent_usd_per_hour, _("USD/hour"), "--rent-per-hour"),
        life_years=_or_given(
            Assumption.of(_("life of a purchase"), catalog.life_years), given.life_years, "--life-years"
        ),
        residual_share=_or_given(
            Assumption.of(_("resale value at the end of it"), catalog.residual_share),
            given.residual_share,
            "--residual-share",
        ),
        labour_usd_per_month=None
        if given.labour_usd_per_month is None
        else Assumption.given(
            _("labour for own and rented machines"),
            given.labour_usd_per_month,
            _("USD/month"),
            "--labour-per-month",
        ),
    )


def _or_given(otherwise: Assumption, given: Decimal | None, flag: str) -> Assumption:
    return otherwise if given is None else Assumption.given(otherwise.name, given, otherwise.unit, flag)


def _power(
    machine: Machine, choice: Candidate, catalog: CostCatalog, given: Given
) -> tuple[Assumption, Assumption]:
    """Watts at the wall, busy and idle; an idle figure that is not known is bounded by the busy one."""
    busy = _watts(_("power while busy"), _busy_watts(machine, choice, catalog), "--power-watts")
    load = _or_given(busy, given.load_watts, "--power-watts")
    quiet = _watts(_("power while idle"), _idle_watts(machine, catalog), "--idle-watts")
    if load.value is not None and (quiet.value is None or quiet.value > load.value):
        bound = _("not known, taken as while busy, its upper bound (give --idle-watts)")
        quiet = quiet.model_copy(update={"value": load.value, "source": bound})
    return load, _or_given(quiet, given.idle_watts, "--idle-watts")


def _watts(name: str, watts: Decimal | None, flag: str) -> Assumption:
    unit = _("W at the wall")
    if watts is None:
        why = _("a GPU's power is not in the catalog, measure at the wall and give {flag}")
        return Assumption.unknown(name, unit, why.format(flag=flag))
    return Assumption(name=name, value=watts, unit=unit, source=_("from the figures below"), date=None)


def _busy_watts(machine: Machine, choice: Candidate, catalog: CostCatalog) -> Decimal | None:
    """Watts at the wall while serving; None where the power of a GPU that works is not known.

    A card's power goes through the power supply; the host was measured at the wall. Where memory is shared,
    the GPU's figure is the whole chip's, so no host is added.
    """
    working = _working_gpus(machine, choice)
    if any(gpu.tdp_watts is None for gpu in working):
        return None
    full = sum((Decimal(gpu.tdp_watts or 0) for gpu in working), Decimal(0))
    cards = full * catalog.gpu_load_share.value
    if machine.unified:
        return cards / catalog.psu_efficiency.value if working else None
    resting = sum((_idle_card(gpu, catalog) for gpu in machine.gpus if gpu not in working), Decimal(0))
    host = catalog.host_load_watts if _host_computes(choice) else catalog.host_idle_watts
    return host.value + (cards + resting) / catalog.psu_efficiency.value


def _idle_watts(machine: Machine, catalog: CostCatalog) -> Decimal | None:
    if machine.unified:
        return None
    cards = sum((_idle_card(gpu, catalog) for gpu in machine.gpus), Decimal(0))
    return catalog.host_idle_watts.value + cards / catalog.psu_efficiency.value


def _idle_card(gpu: Gpu, catalog: CostCatalog) -> Decimal:
    return catalog.gpu_idle_watts.value if gpu.idle_watts is None else Decimal(gpu.idle_watts)


def _working_gpus(machine: Machine, choice: Candidate) -> tuple[Gpu, ...]:
    """The GPUs that hold a part of the model: memory estimates list them in the machine's order."""
    rows = [row for row in choice.memory.devices if row.kind == "gpu"]
    return tuple(gpu for gpu, row in zip(machine.gpus, rows, strict=False) if row.total_bytes)


def _host_computes(choice: Candidate) -> bool:
    on_host = sum(row.weights_bytes for row in choice.memory.devices if row.kind == "cpu")
    return on_host > HOST_BUSY_SHARE * choice.memory.weights_bytes


def _power_basis(machine: Machine, choice: Candidate, catalog: CostCatalog) -> tuple[Assumption, ...]:
    tdps = tuple(
        Assumption(
            name=f"{gpu.name}, TDP",
            value=Decimal(gpu.tdp_watts),
            unit="W",
            source=_("hardware catalog"),
            date=None,
        )
        for gpu in _working_gpus(machine, choice)
        if gpu.tdp_watts is not None
    )
    cards = (
        Assumption.of(_("GPU power while serving"), catalog.gpu_load_share),
        Assumption.of(_("GPU power while idle"), catalog.gpu_idle_watts),
        Assumption.of(_("power supply efficiency"), catalog.psu_efficiency),
    )
    quiet = (Assumption.of(_("computer without GPUs, idle"), catalog.host_idle_watts),)
    working = (Assumption.of(_("computer without GPUs, busy"), catalog.host_load_watts),)
    host = (*quiet, *(working if _host_computes(choice) else ()))
    return (*dict.fromkeys(tdps), *(cards if machine.gpus else ()), *(() if machine.unified else host))


def _purchase(machine: Machine, lists: tuple[PriceList, ...]) -> Assumption:
    """The machine's GPUs at the catalog's prices; a machine without a priced GPU has no known price."""
    found = [_find(gpu, lists) for gpu in machine.gpus]
    priced = [row for row in found if row is not None]
    if not priced or len(priced) < len(found):
        hint = _("not in the catalog, give --purchase-price")
        return Assumption.unknown(_("purchase price"), "USD", hint)
    prices = priced[0][0]
    titles = " + ".join(row.name for _list, row in priced)
    whole, cards = _("purchase price of {names}"), _("purchase price of {names}, the cards alone")
    return Assumption(
        name=(whole if machine.unified else cards).format(names=titles),
        value=sum((row.usd for _list, row in priced), Decimal(0)),
        unit="USD",
        source=f"{_(prices.seller)}, {prices.source}",
        date=prices.date,
    )


def _rent(machine: Machine, choice: Candidate, lists: tuple[PriceList, ...]) -> Assumption:
    """The plan's own GPUs by the hour where they are rented out, else one that can stand in for them."""
    working = _working_gpus(machine, choice)
    same = [row for row in (_find(gpu, lists) for gpu in working) if row is not None]
    if same and len(same) == len(working):
        chosen, title = same, " + ".join(row.name for _list, row in same)
    else:
        stand_in = _stand_in(machine, choice, lists)
        if stand_in is None:
            hint = _("no fitting GPU in the catalog, give --rent-per-hour")
            return Assumption.unknown(_("rent"), _("USD/hour"), hint)
        title = _("{gpu}, which should reach the plan's speed").format(gpu=stand_in[1].name)
        chosen = [stand_in]
    prices = chosen[0][0]
    return Assumption(
        name=_("rent of {gpus}").format(gpus=title),
        value=sum((row.usd for _list, row in chosen), Decimal(0)),
        unit=_("USD/hour"),
        source=f"{_(prices.seller)}, {prices.source}",
        date=prices.date,
    )


def _stand_in(
    machine: Machine, choice: Candidate, lists: tuple[PriceList, ...]
) -> tuple[PriceList, GpuPrice] | None:
    """The cheapest single GPU that holds the plan's memory and has at least its devices' bandwidth.

    Decoding waits for memory, so with that bandwidth the plan's speed should be reached. Where the plan's own
    bandwidth is not known, nothing can be said.
    """
    working = _working_gpus(machine, choice)
    rates = [gpu.bandwidth_bytes_per_s for gpu in working] or [machine.host.memory.bandwidth_bytes_per_s]
    if None in rates:
        return None
    needed = sum(rate or 0 for rate in rates)
    fitting = [
        (prices, row)
        for prices in lists
        for row in prices.gpus
        if row.vram_gib * GIB - GPU_RESERVE_BYTES >= choice.memory.total_bytes
        and (row.bandwidth_gb_per_s or 0) * GB >= needed
    ]
    return min(fitting, key=lambda pair: pair[1].usd, default=None)


def _find(gpu: Gpu, lists: tuple[PriceList, ...]) -> tuple[PriceList, GpuPrice] | None:
    """The row of that GPU: by name, and by size where variants share a name."""
    keys = {_key(gpu.name), _key(gpu.catalog_id or gpu.name)}
    for prices in lists:
        for row in prices.gpus:
            named = keys & {_key(name) for name in row.names}
            sold = row.vram_gib * GIB
            if named and (gpu.unified or abs(gpu.vram_bytes - sold) <= VRAM_TOLERANCE * sold):
                return prices, row
    return None


def _key(name: str) -> str:
    """A GPU's name without makers' words, spaces and dashes."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "".join(word for word in words if word not in _MAKERS)
