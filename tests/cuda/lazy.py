#!/usr/bin/env python3
"""Makes libraries to link a program for CUDA with where CUDA is not: x86-64, Linux.

usage: lazy.py SOURCES FOLDER

SOURCES are those of the crate cudarc, whose bindings name the functions; FOLDER gets `libcuda.so`, `libcublas.so` and so on, as the
linker wants them. A function of theirs looks for its library when it is first called. Where there is none, it returns what the library
returns when it cannot begin, so that one program starts everywhere and says for itself that there is no device.
"""

import pathlib
import re
import subprocess
import sys

# Where cudarc binds it, the name of the real library, and "cannot begin" in its numbers.
LIBRARIES = {
    "cuda": ("driver", "libcuda.so.1", 100),
    "nvrtc": ("nvrtc", "libnvrtc.so.13", 11),
    "curand": ("curand", "libcurand.so.10", 101),
    "cublas": ("cublas", "libcublas.so.13", 1),
    "cublasLt": ("cublaslt", "libcublasLt.so.13", 1),
    "cudnn": ("cudnn", "libcudnn.so.9", 1001),
}

FUNCTION = re.compile(r"pub (?:unsafe )?fn ((?:cu|nvrtc|curand|cublas|cudnn)\w+)\s*\(")

# How arguments come in registers; more lie on the stack, which is as it was when the real function begins.
REGISTERS = ["rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax"]

RESOLVER = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[] = {{ {names} }};

static long cannot_begin(void) {{ return {status}; }}

void *{prefix}_find(long number) {{
    static void *library;
    static int looked;
    if (!looked) {{
        looked = 1;
        library = dlopen("{real}", RTLD_NOW | RTLD_GLOBAL);
    }}
    if (!library) return (void *)cannot_begin;
    void *found = dlsym(library, names[number]);
    if (!found) {{
        fprintf(stderr, "{real} has no %s: it is of another version\\n", names[number]);
        abort();
    }}
    return found;
}}
"""


def assembly(prefix: str, names: list[str]) -> str:
    lines = [".text"]
    for number, name in enumerate(names):
        lines += [
            f".globl {name}",
            f".type {name}, @function",
            f"{name}:",
            f"movq {prefix}_found+{8 * number}(%rip), %r11",
            "testq %r11, %r11",
            "jz 1f",
            "jmp *%r11",
            f"1: pushq ${number}",
            f"jmp {prefix}_first",
        ]
    lines += [f".type {prefix}_first, @function", f"{prefix}_first:"]
    lines += [f"pushq %{register}" for register in REGISTERS]
    # With the number and the return address a multiple of 16, as a call wants it.
    lines += ["subq $136, %rsp"]
    lines += [f"movups %xmm{i}, {16 * i}(%rsp)" for i in range(8)]
    place = 136 + 8 * len(REGISTERS)
    lines += [f"movq {place}(%rsp), %rdi", f"call {prefix}_find@PLT", "movq %rax, %r11"]
    lines += [
        f"movq {place}(%rsp), %rax",
        f"leaq {prefix}_found(%rip), %rdi",
        "movq %r11, (%rdi,%rax,8)",
    ]
    lines += [f"movups {16 * i}(%rsp), %xmm{i}" for i in range(8)]
    lines += ["addq $136, %rsp"]
    lines += [f"popq %{register}" for register in reversed(REGISTERS)]
    lines += ["addq $8, %rsp", "jmp *%r11"]
    lines += [".bss", ".balign 8", f"{prefix}_found:", f".zero {8 * len(names)}"]
    lines += ['.section .note.GNU-stack, "", @progbits', ""]
    return "\n".join(lines)


def make(name: str, sources: pathlib.Path, folder: pathlib.Path) -> int:
    module, real, status = LIBRARIES[name]
    names: set[str] = set()
    for file in (sources / module / "sys").rglob("*.rs"):
        names |= set(FUNCTION.findall(file.read_text()))
    names.discard("culib")
    if not names:
        sys.exit(f"lazy.py: {sources / module / 'sys'} binds no function")
    ordered, prefix = sorted(names), f"lazy_{name}"
    quoted = ", ".join(f'"{one}"' for one in ordered)
    resolver = RESOLVER.format(names=quoted, prefix=prefix, real=real, status=status)
    (folder / f"{prefix}.s").write_text(assembly(prefix, ordered))
    (folder / f"{prefix}_find.c").write_text(resolver)
    objects = []
    for source in (f"{prefix}.s", f"{prefix}_find.c"):
        objects.append(source.rsplit(".", 1)[0] + ".o")
        subprocess.run(
            ["cc", "-O2", "-fPIC", "-c", source, "-o", objects[-1]], cwd=folder, check=True
        )
    archive = f"lib{prefix}.a"
    (folder / archive).unlink(missing_ok=True)
    subprocess.run(["ar", "crs", archive, *objects], cwd=folder, check=True)
    # What the linker is asked for is a script that names the archive.
    (folder / f"lib{name}.so").write_text(f"INPUT ( {archive} )\n")
    return len(ordered)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sources, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name in LIBRARIES:
        print(f"lib{name}.so: {make(name, sources, folder)} functions")


if __name__ == "__main__":
    main()
