"""Makes Inter-Regular.otf and Inter-SemiBold.otf of this folder from the fonts of the Debian
package fonts-inter (Inter 3.019): digits of one width (the font's own `tnum` glyphs) so that numbers
align, and only Latin (with Vietnamese), Greek, Cyrillic, punctuation, arrows and mathematical signs, so that the
files stay small.

    pip install fonttools
    python subset-inter.py /usr/share/fonts/opentype/inter
"""
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

RANGES = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x18F, 0x192), (0x218, 0x21B), (0x2C6, 0x2DD),
    (0x1A0, 0x1A1), (0x1AF, 0x1B0), (0x300, 0x304), (0x306, 0x30C), (0x31B, 0x31B), (0x323, 0x323),
    (0x370, 0x3FF), (0x400, 0x52F), (0x1E80, 0x1E85), (0x1E9E, 0x1E9E), (0x1EA0, 0x1EF9),
    (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F), (0x20AC, 0x20AC),
    (0x2100, 0x214F), (0x2150, 0x215F), (0x2190, 0x21FF), (0x2200, 0x22FF), (0x25A0, 0x25FF),
    (0x2605, 0x2606), (0x2713, 0x2717),
]

for style in ["Regular", "SemiBold"]:
    font = TTFont(Path(sys.argv[1]) / f"Inter-{style}.otf", recalcTimestamp=False)
    gsub = font["GSUB"].table
    tabular = {}
    for record in gsub.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for table in gsub.LookupList.Lookup[index].SubTable:
                    tabular.update(getattr(table, "ExtSubTable", table).mapping)
    for table in font["cmap"].tables:
        for code in range(ord("0"), ord("9") + 1):
            if code in table.cmap:
                table.cmap[code] = tabular.get(table.cmap[code], table.cmap[code])
    options = Options(layout_features=["kern", "ccmp", "mark"], hinting=False, desubroutinize=True)
    options.drop_tables += ["meta"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[c for a, b in RANGES for c in range(a, b + 1)])
    subsetter.subset(font)
    font["name"].setName("Inter", 16, 3, 1, 0x409)
    font["name"].setName(style, 17, 3, 1, 0x409)
    font["name"].setName("Version 3.019; subset with tabular digits", 5, 3, 1, 0x409)
    font.save(f"Inter-{style}.otf")
