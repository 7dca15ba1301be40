//! Large pipelines, and pipelines that would be: what they cost grows with what they hold.

use std::fmt::Write as _;

use petgraph::algo::toposort;
use petgraph::visit::EdgeRef;

use super::{errors, plan};

fn list(values: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

#[test]
fn cells_meet_those_of_the_same_values() {
    // 400 layers, two poolings of each, and three kinds of readers.
    let layers = list((0..400).map(|layer| format!("'l{layer}'")));
    let text = format!(
        "[stage.i]\nkind = 'images'\ncount = 1\n\
         [stage.e]\nkind = 'extract'\nimages = 'i'\nmatrix.layer = [{layers}]\n\
         matrix.flip = [true, false]\n\
         [stage.t]\nkind = 'train'\nfeatures = 'e'\nvalidation = 'e[flip=false]'\n\
         [stage.r]\nkind = 'report'\nrows = 't[flip=*]'\n\
         [stage.one]\nkind = 'report'\nmatrix.rows = [{}]\n",
        list((0..400).map(|layer| format!("'t[layer=l{layer}, flip=true]'"))),
    );
    let plan = plan(&text, &[]).unwrap();
    assert_eq!(plan.len(), 1 + 800 + 800 + 400 + 400);
    for (cell, _) in plan.cells() {
        let id = &plan[cell].id;
        let sources = plan.sources(cell);
        match id.stage.as_str() {
            "t" => assert_eq!(sources.len(), 2),
            "r" => assert_eq!(sources.len(), 2),
            "one" => assert_eq!(sources.len(), 1),
            _ => {}
        }
        for (upstream, source) in sources {
            let values = &plan[upstream].id.coordinates;
            for axis in ["layer", "flip"] {
                let (own, there) = (id.coordinates.get(axis), values.get(axis));
                let both = own.is_some() && there.is_some() && &*source.slot != "validation";
                assert!(!both || own == there);
            }
            if id.stage == "one" {
                let edge = id.coordinates.get("rows").unwrap().as_str().unwrap();
                let layer = values.get("layer").unwrap().as_str().unwrap();
                assert!(edge.starts_with(&format!("t[layer={layer},")), "{edge} reads {layer}");
            }
        }
    }
}

#[test]
fn the_order_of_the_cells_is_one_of_the_graph() {
    let mut text = String::new();
    for stage in (0..300).rev() {
        let _ = write!(text, "[stage.s{stage}]\nkind = 'shell'\nrun = 'x'\n");
        if stage > 0 {
            let _ = writeln!(text, "inputs = ['s{}', 's{}']", stage - 1, stage / 2 + 300);
        }
    }
    for stage in 300..450 {
        let _ = write!(text, "[stage.s{stage}]\nkind = 'shell'\nrun = 'x'\n");
    }
    let plan = plan(&text, &[]).unwrap();
    assert!(plan.graph.edge_references().all(|edge| edge.source() < edge.target()));
    assert_eq!(toposort(&plan.graph, None).unwrap().len(), 450);
    let last = plan.select("s299").unwrap();
    assert_eq!(plan.with_upstream(last.iter().copied()).len(), 450);
    let first = plan.select("s0").unwrap()[0];
    assert_eq!((plan.heights()[first], plan.heights()[last[0]]), (299, 0));
    assert_eq!(plan.downstream(first, |_| true).len(), 299);
    assert_eq!(plan.downstream(first, |cell| plan[cell].id.stage != "s9").len(), 8);
}

#[test]
fn a_matrix_that_no_memory_holds_is_refused_by_its_product() {
    let mut text = "[stage.s]\nkind = 'shell'\nrun = 'x'\n".to_owned();
    (0..64).for_each(|axis| _ = writeln!(text, "matrix.a{axis} = [0, 1]"));
    assert_eq!(
        errors(&text, &[]),
        "p.toml:4:8: stage `s` has 18,446,744,073,709,551,616 cells (2 `a0` × 2 `a1` × 2 `a2` × 2 `a3` × \
         2 `a4` × 2 `a5` × 2 `a6` × 2 `a7` × … (64 axes)), and a pipeline at most 100,000\n  \
         help: set `max_cells` at the top of the file if so many are meant"
    );
    let text = "max_cells = 5\n[stage.s]\nkind = 'shell'\nrun = 'x'\nmatrix.a = [1, 2, 3]\n\
                [stage.t]\nkind = 'shell'\nrun = 'x'\ninputs = ['s']\nmatrix.b = [1, 2]\n";
    assert!(errors(text, &[]).starts_with(
        "p.toml:9:11: with stage `t` the pipeline has more than 5 cells\n  help: set `max_cells`"
    ));
    assert_eq!(plan(&text.replace("= 5", "= 9"), &[]).unwrap().len(), 9);
    assert!(errors("max_cells = 0", &[]).contains("expected a whole number, 1 or more"));
}

#[test]
fn a_large_circle_is_told_in_a_few_lines() {
    let mut text = String::new();
    for stage in 0..3000 {
        let next = (stage + 1) % 3000;
        let _ = write!(text, "[stage.s{stage}]\nkind = 'shell'\nrun = 'x'\ninputs = ['s{next}']\n");
    }
    let said = errors(&text, &[]);
    let circle = "s0 → s1 → s2 → s3 → s4 → s5 → s6 → … 2993 more … → s0";
    assert!(said.contains(circle) && said.lines().count() < 10, "{said}");
}

#[test]
fn many_errors_are_told_by_their_number() {
    let mut text = String::new();
    for stage in 0..3105 {
        let _ =
            write!(text, "[stage.s{stage}]\nkind = 'shell'\nrun = 'x'\ninputs = ['t{stage}']\n");
    }
    let said = errors(&text, &[]);
    assert!(said.ends_with("\nand 3,085 more"), "{said}");
    assert!(said.len() < 20_000, "{}", said.len());
}

#[test]
fn two_values_of_one_name_are_refused_with_both_places() {
    let text = "[stage.s]\nkind = 'shell'\nrun = 'x'\nmatrix.a = [\"1\", 2, 1]\n";
    assert_eq!(
        errors(text, &[]),
        "p.toml:4:21: axis `a` has two values that are written `1`\n  note: the other one (p.toml:4:13)"
    );
}

#[test]
fn errors_without_a_word_in_the_file_have_a_place_too() {
    assert!(errors("name = 'x'", &[]).starts_with("p.toml:1:1: a pipeline needs"));
    let text =
        "name = 'x'\n[stage.i]\nkind = 'images'\ncount = 1\n[profile.small.stage.i]\ncount = 2";
    let said = errors(text, &["+smal"]);
    assert!(said.starts_with("p.toml:5:2: there is no profile `smal`"), "{said}");
    let said = errors(&format!("a = {}1{}", "[".repeat(9000), "]".repeat(9000)), &[]);
    assert!(said.starts_with("p.toml:1:"), "{said}");
}

#[test]
fn texts_of_many_cells_find_what_they_refer_to_by_its_values() {
    // Each reader by way of its own layer, of one that it names, and of all that share a value.
    let layers = 700;
    let text = format!(
        "[stage.i]\nkind = 'images'\ncount = 4\n\
         [stage.e]\nkind = 'extract'\nimages = 'i'\nmatrix.layer = [{}]\nmatrix.flip = [true, false]\n\
         [stage.t]\nkind = 'train'\nfeatures = 'e'\n\
         [stage.r]\nkind = 'report'\nrows = 't'\n\
         caption = '{{e.layer}} {{e.flip}} {{e[layer=l7].layer}} {{i.count}} {{t[layer=l9].accuracy}}{{t.accuracy}}'\n",
        list((0..layers).map(|layer| format!("'l{layer}'"))),
    );
    let plan = plan(&text, &[]).unwrap();
    assert_eq!(plan.of_stage("r").count(), 2 * layers);
    for cell in plan.of_stage("r") {
        let coordinates = &plan[cell].id.coordinates;
        let (layer, flip) = (coordinates.get("layer").unwrap(), coordinates.get("flip").unwrap());
        let layer = layer.as_str().unwrap();
        let wanted =
            format!("{layer} {flip} l7 4 {{t[layer=l9].metrics.accuracy}}{{t.metrics.accuracy}}");
        assert_eq!(plan[cell].parameters["caption"], wanted);
        let metrics = |slot: &str| {
            let sources = plan.sources(cell);
            let (upstream, _) = sources.iter().find(|(_, source)| &*source.slot == slot).unwrap();
            plan[*upstream].id.to_string()
        };
        assert_eq!(metrics("{t.metrics}"), format!("t[layer={layer},flip={flip}]"));
        assert_eq!(metrics("{t[layer=l9].metrics}"), format!("t[layer=l9,flip={flip}]"));
    }
}

#[test]
fn axes_of_many_named_values_are_compared_by_their_paths() {
    let axis = |name: &str, key: &str| {
        let values: Vec<_> =
            (0..4_000).map(|value| format!("v{value} = {{ {key} = {value} }}")).collect();
        format!("matrix.{name} = {{ {} }}\n", values.join(", "))
    };
    let stage = "[stage.i]\nkind = 'images'\ncount = 1\n";
    let said = errors(&format!("{stage}{}{}", axis("one", "size"), axis("other", "size")), &[]);
    assert!(said.contains("axes `one` and `other` both set `size`"), "{said}");
    let said = errors(&format!("{stage}{}", axis("one", "count")), &[]);
    assert!(
        said.contains("every value of axis `one` sets `count`, so this is never used"),
        "{said}"
    );
}
