"""Signs of units, by the identifier of their unit in CLDR.

CLDR has the names of the units in every language, but not all signs that people and devices write.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "temperature-celsius": "°C | ℃",
        "temperature-fahrenheit": "°F | ℉",
        "temperature-kelvin": "K",
        "angle-degree": "°",
        "concentr-percent": "%",
        "concentr-permille": "‰",
        "concentr-part-per-1e6": "ppm",
        "concentr-part-per-1e9": "ppb",
        "length-kilometer": "km | Km",
        "length-meter": "m",
        "length-decimeter": "dm",
        "length-centimeter": "cm",
        "length-millimeter": "mm",
        "length-micrometer": "µm | μm",
        "length-nanometer": "nm",
        "length-mile": "mi",
        "length-foot": "ft",
        "area-square-meter": "m² | m2",
        "area-square-kilometer": "km² | km2",
        "area-square-centimeter": "cm² | cm2",
        "area-hectare": "ha",
        "volume-cubic-meter": "m³ | m3",
        "volume-cubic-centimeter": "cm³ | cm3",
        "volume-liter": "l | L | ℓ",
        "volume-milliliter": "ml | mL",
        "volume-centiliter": "cl | cL",
        "volume-deciliter": "dl | dL",
        "volume-hectoliter": "hl | hL",
        "mass-tonne": "t",
        "mass-kilogram": "kg",
        "mass-gram": "g",
        "mass-milligram": "mg",
        "mass-microgram": "µg | μg",
        "mass-pound": "lb",
        "mass-ounce": "oz",
        "duration-hour": "h",
        "duration-minute": "min",
        "duration-second": "s | sec",
        "duration-millisecond": "ms",
        "duration-day": "d",
        "speed-kilometer-per-hour": "km/h | kmh",
        "speed-meter-per-second": "m/s",
        "speed-mile-per-hour": "mph",
        "speed-knot": "kn",
        "power-watt": "W",
        "power-kilowatt": "kW",
        "power-megawatt": "MW",
        "power-gigawatt": "GW",
        "energy-kilowatt-hour": "kWh",
        "energy-joule": "J",
        "energy-kilojoule": "kJ",
        "energy-kilocalorie": "kcal",
        "energy-calorie": "cal",
        "electric-volt": "V",
        "electric-ampere": "A",
        "electric-milliampere": "mA",
        "electric-ohm": "Ω",
        "frequency-hertz": "Hz",
        "frequency-kilohertz": "kHz",
        "frequency-megahertz": "MHz",
        "frequency-gigahertz": "GHz",
        "pressure-pascal": "Pa",
        "pressure-hectopascal": "hPa",
        "pressure-kilopascal": "kPa",
        "pressure-bar": "bar",
        "pressure-millibar": "mbar",
        "light-lux": "lx",
        "light-lumen": "lm",
        "digital-bit": "bit",
        "digital-kilobyte": "kB | KB",
        "digital-megabyte": "MB",
        "digital-gigabyte": "GB",
        "digital-terabyte": "TB",
        "digital-kilobit": "kbit",
        "digital-megabit": "Mbit",
        "digital-gigabit": "Gbit",
        "graphics-pixel": "px",
        "graphics-megapixel": "MP",
        "consumption-liter-per-100-kilometer": "l/100 km | l/100km | L/100 km | L/100km",
    }
)

WITHOUT_NUMBER = frozenset(
    {
        "concentr-part-per-1e6",
        "concentr-part-per-1e9",
        "energy-kilowatt-hour",
        "frequency-hertz",
        "power-kilowatt",
        "pressure-hectopascal",
        "speed-kilometer-per-hour",
        "speed-mile-per-hour",
    }
)
"""Units whose sign is read as a word where it has no number, as no word is written so."""
ONLY_SPACED = frozenset({"temperature-kelvin", "mass-tonne", "electric-ampere", "energy-joule"})
"""Units whose sign, a letter, stands straight behind a figure in names alone: 4K, 737A."""
