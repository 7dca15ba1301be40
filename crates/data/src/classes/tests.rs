use serde_json::json;

use super::*;

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn imagenet() -> Outputs<'static> {
    Outputs { names: embedded::imagenet_classes(), count: Some(1000) }
}

fn same(
    network: &Outputs<'_>,
    classes: &[&str],
    said: &[(&str, &str)],
) -> Result<Vec<u32>, String> {
    let labels: Vec<u32> = (0..classes.len() as u32).collect();
    let said = said.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
    let found = network.same_as(&named(classes), &labels, &said).map_err(|e| e.to_string())?;
    Ok(found.into_iter().flatten().collect())
}

#[test]
fn names_synonyms_and_numbers() {
    let find = |name: &str| imagenet().number("target", name).map_err(|error| error.to_string());
    for (name, number) in [
        ("stingray", 6),
        ("tinca tinca", 0),
        ("tench, Tinca tinca", 0),
        ("Gorilla", 366),
        (" hay ", 958),
        ("662", 662),
        ("tick", 78),
        ("great_white_shark", 2),
        ("n01443537", 1),
    ] {
        assert_eq!(find(name), Ok(number), "{name}");
    }
    assert_eq!(
        find("lipstik").unwrap_err(),
        "parameter `target`: expected the name or the number of a class, found `lipstik`"
    );
    assert!(find("lip").unwrap_err().contains("`lipstick, lip rouge`"));
    assert_eq!(
        find("1000").unwrap_err(),
        "parameter `target`: expected a class below 1000, found 1000"
    );
    assert_eq!(
        find("crane").unwrap_err(),
        "parameter `target`: several classes are called `crane`: expected one of their numbers, 134, 517"
    );
    let names = named(&["3", "5", "7"]);
    let digits = Outputs { names: &names, count: Some(3) };
    assert_eq!(digits.number("target", "5").unwrap(), 1);
    assert_eq!(digits.number("target", "2").unwrap(), 2);
    let unnamed = Outputs { names: &[], count: None };
    assert_eq!(unnamed.number("target", "12").unwrap(), 12);
}

/// The numbers are those of torchvision's `IMAGENET1K` categories, the ids those of ImageNet's `LOC_synset_mapping.txt`.
#[test]
fn folders_are_matched_by_name_whatever_their_order() {
    assert_eq!(same(&imagenet(), &["tench", "goldfish", "Egyptian cat"], &[]), Ok(vec![0, 1, 285]));
    // ImageNet's, Stanford Dogs' and Kaggle's folders; two classes are called crane.
    let ids = ["n01443537", "n02085620-Chihuahua", "n02012849", "n03126707", "n02123045_tabby"];
    assert_eq!(same(&imagenet(), &ids, &[]), Ok(vec![1, 151, 134, 517, 281]));
    // A network that was trained on such folders, and one of few classes with short names.
    let folders = named(&["n02123045", "n01443537"]);
    let network = Outputs { names: &folders, count: Some(2) };
    assert_eq!(same(&network, &["goldfish", "tabby cat"], &[]), Ok(vec![1, 0]));
    let short = named(&["great white shark", "goldfish"]);
    let network = Outputs { names: &short, count: Some(2) };
    assert_eq!(same(&network, &["n01443537", "white_shark", "n01484850"][..1], &[]), Ok(vec![1]));
    assert_eq!(same(&network, &["n01484850", "Goldfish"], &[]), Ok(vec![0, 1]));
    // Lists that are the same are the same, doubles and all.
    let all: Vec<&str> = embedded::imagenet_classes().iter().map(String::as_str).collect();
    assert_eq!(same(&imagenet(), &all, &[]), Ok((0..1000).collect()));
}

#[test]
fn what_no_name_tells_is_refused_with_both_lists() {
    assert_eq!(
        same(&imagenet(), &["goldfish", "my cat", "quokka"], &[]).unwrap_err(),
        "parameter `classes`: which of the network's classes is `my cat` (and 1 more)? The images have `goldfish`, `my cat`, \
         `quokka`; the network knows 1000: `tench, Tinca tinca`, `goldfish, Carassius auratus`, `great white shark, white \
         shark, man-eater, man-eating shark, Carcharodon carcharias`, `tiger shark, Galeocerdo cuvieri`, `hammerhead, \
         hammerhead shark`, `electric ray, crampfish, numbfish, torpedo`, …. Classes are matched by name, synonym or \
         WordNet id; say what differs: `classes = { \"my cat\" = NAME_OR_NUMBER }`"
    );
    let error = same(&imagenet(), &["panther"], &[]).unwrap_err();
    assert!(error.contains("several classes are called `panther`"), "{error}");
    // Classes that no image has do not matter.
    let found = imagenet().same_as(&named(&["quokka", "tench"]), &[1, 1], &SameClasses::default());
    assert_eq!(found.unwrap(), [None, Some(0)]);
    // Digits are no photographs of the first ten classes.
    let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    assert!(same(&imagenet(), &digits, &[]).is_err());
    let unnamed = |count| Outputs { names: &[], count: Some(count) };
    assert_eq!(
        same(&unnamed(1000), &["goldfish", "tench"], &[]).unwrap_err(),
        "parameter `classes`: which of the network's classes is `goldfish` (and 1 more)? The weights know 1000 classes by \
         number alone, the images have `goldfish`, `tench`. Name the network's by `class_names` of kind weights, or say \
         it: `classes = { goldfish = NAME_OR_NUMBER }`"
    );
    assert!(same(&unnamed(2), &["goldfish", "tench"], &[]).is_err());
    assert!(same(&unnamed(1000), &digits, &[]).is_err());
    assert_eq!(same(&unnamed(10), &digits, &[]), Ok((0..10).collect()));
    // Oxford's flowers are numbered from 1, and torchvision sorts such folders as text: nothing is certain.
    assert!(same(&unnamed(3), &["1", "2", "3"], &[]).is_err());
}

#[test]
fn what_is_said_counts() {
    let said = [("my cat", "tabby"), ("quokka", "105")];
    assert_eq!(same(&imagenet(), &["goldfish", "my cat", "quokka"], &said), Ok(vec![1, 281, 105]));
    let unnamed = Outputs { names: &[], count: Some(5) };
    assert_eq!(same(&unnamed, &["b", "a"], &[("a", "4"), ("b", "0")]), Ok(vec![0, 4]));
    assert_eq!(
        same(&unnamed, &["a"], &[("a", "5")]).unwrap_err(),
        "parameter `classes.a`: expected a class below 5, found 5"
    );
    assert_eq!(
        same(&imagenet(), &["tench"], &[("tenhc", "0")]).unwrap_err(),
        "parameter `classes`: the images have no class `tenhc`; they have `tench`"
    );
    let read: SameClasses = serde_json::from_value(json!({ "a": 4, "b": "tabby" })).unwrap();
    let expected = [("a", "4"), ("b", "tabby")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(read, expected.into_iter().collect());
    let error = serde_json::from_value::<SameClasses>(json!({ "a": -1 })).unwrap_err();
    assert!(error.to_string().contains("expected the name or the number of a class"), "{error}");
}

#[test]
fn names_of_another_network_are_refused() {
    let network = Outputs { names: embedded::imagenet_classes(), count: Some(10) };
    assert_eq!(
        network.check().unwrap_err().to_string(),
        "the network tells 10 classes apart, the weights name 1000: expected one name a class (`class_names` of kind weights)"
    );
    imagenet().check().unwrap();
    Outputs { names: &[], count: Some(10) }.check().unwrap();
}

#[test]
fn names_that_mean_one_class() {
    assert!(is_same("tabby", "tabby, tabby cat"));
    assert!(is_same("n02123045", "Tabby cat"));
    assert!(!is_same("tabby", "tiger cat"));
    assert!(!is_same("1", "11"));
}
