//! Bad pipeline files, each with its exact message.

use super::errors;
#[test]
fn print() {
    for (name, text, options) in CASES {
        println!("=== {name}\n{}\n", errors(text, options));
    }
}

type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("no stage", "name = \"x\"\n", &[]),
    ("not TOML", "[stage.a\nkind = \"images\"\n", &[]),
    ("key twice", "[stage.a]\nkind = \"images\"\ncount = 1\ncount = 2\n", &[]),
    ("string left open", "[stage.a]\nkind = \"images\ncount = 1\n", &[]),
    ("unknown top-level key", "sead = 1\n[stage.a]\nkind = \"images\"\ncount = 1\n", &[]),
    ("stages instead of stage", "[stages.a]\nkind = \"images\"\ncount = 1\n", &[]),
    ("seed is text", "seed = \"one\"\n[stage.a]\nkind = \"images\"\ncount = 1\n", &[]),
    ("negative seed", "seed = -1\n[stage.a]\nkind = \"images\"\ncount = 1\n", &[]),
    ("name with a slash", "name = \"a/b\"\n[stage.a]\nkind = \"images\"\ncount = 1\n", &[]),
    ("stage without a kind", "[stage.a]\ncount = 1\n", &[]),
    ("unknown kind, close", "[stage.a]\nkind = \"image\"\ncount = 1\n", &[]),
    ("unknown kind, far", "[stage.a]\nkind = \"download\"\n", &[]),
    ("kind is a number", "[stage.a]\nkind = 3\n", &[]),
    ("stage is no table", "[stage]\na = 3\n", &[]),
    ("stage name with a dot", "[stage.\"a.b\"]\nkind = \"images\"\ncount = 1\n", &[]),
    ("unknown parameter", "[stage.a]\nkind = \"images\"\ncuont = 1\n", &[]),
    ("missing parameter", "[stage.a]\nkind = \"images\"\n", &[]),
    ("wrong type", "[stage.a]\nkind = \"images\"\ncount = \"many\"\n", &[]),
    ("negative count", "[stage.a]\nkind = \"images\"\ncount = -1\n", &[]),
    (
        "wrong type in a list",
        "[stage.a]\nkind = \"images\"\ncount = 1\nsources = [\"x\", 2]\n",
        &[],
    ),
    ("not finite", "[stage.a]\nkind = \"train\"\nfeatures = \"b\"\nc = nan\n", &[]),
    ("number too large", "[stage.a]\nkind = \"images\"\ncount = 99999999999999999999\n", &[]),
    (
        "refused by the kind",
        "[stage.a]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"a\"\nlayer = \"x\"\n[stage.t]\nkind = \"train\"\nfeatures = \"f\"\nc = 0\n",
        &[],
    ),
    (
        "unknown variant",
        "[stage.a]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"a\"\nlayer = \"x\"\npooling = \"gpa\"\n",
        &[],
    ),
    (
        "several at once",
        "[stage.a]\nkind = \"images\"\ncount = \"x\"\nsources = 3\ntitel = \"t\"\n[stage.f]\nkind = \"extrat\"\n[stage.t]\nkind = \"train\"\nfeatures = \"nowhere\"\nc = true\n",
        &[],
    ),
    (
        "no such stage",
        "[stage.images]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"image\"\nlayer = \"x\"\n",
        &[],
    ),
    (
        "bad edge",
        "[stage.images]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"images[\"\nlayer = \"x\"\n",
        &[],
    ),
    (
        "wrong edge type",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[stage.t]\nkind = \"train\"\nfeatures = \"i\"\n",
        &[],
    ),
    (
        "wrong type of a named output",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"i\"\nlayer = \"x\"\n[stage.t]\nkind = \"train\"\nfeatures = \"f\"\n[stage.r]\nkind = \"report\"\nrows = \"t.model\"\n",
        &[],
    ),
    (
        "no such output",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"i.image\"\nlayer = \"x\"\n",
        &[],
    ),
    (
        "none of several outputs fits",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"i\"\nlayer = \"x\"\n[stage.t]\nkind = \"train\"\nfeatures = \"f\"\n[stage.g]\nkind = \"extract\"\nimages = \"t\"\nlayer = \"x\"\n",
        &[],
    ),
    (
        "several outputs fit",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[stage.f]\nkind = \"extract\"\nimages = \"i\"\nlayer = \"x\"\n[stage.t]\nkind = \"train\"\nfeatures = \"f\"\n[stage.s]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"t\"]\n",
        &[],
    ),
    (
        "cycle",
        "[stage.a]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"c\"]\n[stage.b]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"a\"]\n[stage.c]\nkind = \"shell\"\nrun = \"x\"\ninputs = { left = \"b\" }\n",
        &[],
    ),
    ("reads itself", "[stage.a]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"a\"]\n", &[]),
    (
        "input twice",
        "[stage.a]\nkind = \"shell\"\nrun = \"x\"\n[stage.b]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"a\", \"a\"]\n",
        &[],
    ),
    (
        "gathering where one is wanted",
        "[stage.i]\nkind = \"images\"\nmatrix.count = [1, 2]\n[stage.f]\nkind = \"extract\"\nimages = \"i[*]\"\nlayer = \"x\"\n",
        &[],
    ),
    ("axis is no list", "[stage.i]\nkind = \"images\"\nmatrix.count = 3\n", &[]),
    ("empty axis", "[stage.i]\nkind = \"images\"\nmatrix.count = []\n", &[]),
    ("value twice on an axis", "[stage.i]\nkind = \"images\"\nmatrix.count = [1, 2, 1]\n", &[]),
    ("axis that is no parameter", "[stage.i]\nkind = \"images\"\nmatrix.cont = [1]\n", &[]),
    ("axis and parameter", "[stage.i]\nkind = \"images\"\ncount = 1\nmatrix.count = [1]\n", &[]),
    ("wrong value on an axis", "[stage.i]\nkind = \"images\"\nmatrix.count = [1, \"two\"]\n", &[]),
    (
        "axis flows in already",
        "[stage.i]\nkind = \"images\"\nmatrix.count = [1, 2]\n[stage.s]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"i\"]\nmatrix.count = [3]\n",
        &[],
    ),
    (
        "axes that do not match",
        "[stage.i]\nkind = \"images\"\nmatrix.count = [1, 2]\n[stage.j]\nkind = \"images\"\nmatrix.count = [2, 3]\n[stage.s]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"i\", \"j\"]\n",
        &[],
    ),
    (
        "no such axis",
        "[stage.i]\nkind = \"images\"\nmatrix.count = [1, 2]\n[stage.s]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"i[cuont=1]\"]\n",
        &[],
    ),
    (
        "no such value on an axis",
        "[stage.i]\nkind = \"images\"\nmatrix.count = [1, 2]\n[stage.s]\nkind = \"shell\"\nrun = \"x\"\ninputs = [\"i[count=3]\"]\n",
        &[],
    ),
    (
        "unknown variable",
        "[vars]\nepochs = 3\n[stage.i]\nkind = \"images\"\ncount = \"$epoch\"\n",
        &[],
    ),
    (
        "wrong type of a variable",
        "[vars]\nn = \"x\"\n[stage.i]\nkind = \"images\"\ncount = \"$n\"\n",
        &[],
    ),
    ("seed where nothing is random", "[stage.i]\nkind = \"images\"\ncount = 1\nseed = 3\n", &[]),
    (
        "unknown resource",
        "[stage.i]\nkind = \"images\"\ncount = 1\nresources.memroy = \"1GiB\"\n",
        &[],
    ),
    (
        "bad size",
        "[stage.i]\nkind = \"images\"\ncount = 1\nresources = { memory = \"lots\", threads = 0 }\n",
        &[],
    ),
    (
        "no such profile",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[profile.paper.stage.i]\ncount = 2\n",
        &["+papre"],
    ),
    (
        "profile of a stage that is not there",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[profile.paper.stage.j]\ncount = 2\n",
        &[],
    ),
    (
        "profile with an unknown key",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[profile.paper.stages.i]\ncount = 2\n",
        &[],
    ),
    (
        "wrong value in a profile",
        "[stage.i]\nkind = \"images\"\ncount = 1\n[profile.paper.stage.i]\ncount = \"x\"\n",
        &["+paper"],
    ),
    ("setting without a value", "[stage.i]\nkind = \"images\"\ncount = 1\n", &["stage.i.count"]),
    (
        "setting of a stage that is not there",
        "[stage.images]\nkind = \"images\"\ncount = 1\n",
        &["stage.image.count=2"],
    ),
    (
        "setting of an unknown parameter",
        "[stage.i]\nkind = \"images\"\ncount = 1\n",
        &["stage.i.cuont=2"],
    ),
    (
        "setting of a wrong value",
        "[stage.i]\nkind = \"images\"\ncount = 1\n",
        &["stage.i.count=few"],
    ),
    (
        "setting of an unknown variable",
        "[vars]\nn = 1\n[stage.i]\nkind = \"images\"\ncount = \"$n\"\n",
        &["vars.m=2"],
    ),
    ("setting at the top", "[stage.i]\nkind = \"images\"\ncount = 1\n", &["count=2"]),
];
