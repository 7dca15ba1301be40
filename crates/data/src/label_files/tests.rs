use super::*;
use crate::image_folder;

fn columns(names: Option<[&str; 2]>) -> Option<[String; 2]> {
    names.map(|names| names.map(str::to_owned))
}

fn rows(text: &str, heads: Option<[&str; 2]>) -> Vec<(String, String, usize)> {
    let rows = rows::parse(text.as_bytes(), columns(heads).as_ref()).unwrap();
    rows.into_iter().map(|Row { name, label, line }| (name, label, line)).collect()
}

fn row(name: &str, label: &str, line: usize) -> (String, String, usize) {
    (name.to_owned(), label.to_owned(), line)
}

#[test]
fn lines_as_people_write_them() {
    let expected = [row("a.png", "5", 1), row("b/c.png", "12", 2)];
    for text in [
        "a.png 5\nb/c.png 12\n",
        "a.png   5\r\nb/c.png 12",
        "\u{feff}a.png,5\nb/c.png,12\n",
        "a.png\t5\nb/c.png\t12\n",
        "a.png; 5\nb/c.png ;12\n\n \n",
        "\"a.png\",\"5\"\n b/c.png , \"12\" \n",
    ] {
        assert_eq!(rows(text, None), expected, "{text:?}");
    }
    // Blank lines count; what separates stands in the first line.
    assert_eq!(rows("\n\na b.png,great white shark\nc d,x", None)[1], row("c d", "x", 4));
    assert_eq!(rows("a,b.png\t5", None), [row("a,b.png", "5", 1)]);
    let quoted = "\"a, \"\"b\"\".png\",\"x, y\"\n\" c \",z";
    assert_eq!(rows(quoted, None), [row("a, \"b\".png", "x, y", 1), row(" c ", "z", 2)]);
}

#[test]
fn a_line_of_heads_is_no_row() {
    for head in ["filename,label", "File Name,class", "image_id,breed", "\"name\",\"digit\""] {
        assert_eq!(rows(&format!("{head}\na.png,5"), None), [row("a.png", "5", 2)], "{head}");
    }
    assert_eq!(rows("image label\na.png 5", None), [row("a.png", "5", 2)]);
    assert_eq!(rows("image.png,5\nfile,6", None).len(), 2);
    let wide = "age,Datei,sex,Klasse\n3,a.png,m,x\n,b.png,,y\n";
    assert_eq!(rows(wide, Some(["Datei", "Klasse"])), [row("a.png", "x", 2), row("b.png", "y", 3)]);
}

#[test]
fn wrong_lines_are_told_by_number() {
    let said = |text: &str, heads: Option<[&str; 2]>| {
        rows::parse(text.as_bytes(), columns(heads).as_ref()).unwrap_err().to_string()
    };
    for (text, message) in [
        ("", "expected lines with a name and a label, found none"),
        ("name,label\n", "expected lines with a name and a label, found none"),
        (
            "a.png 5\nb.png",
            "line 2: expected a name and a label with white space between them, found one field",
        ),
        (
            "my a.png 5",
            "line 1: expected a name and a label with white space between them, found 3 fields",
        ),
        (
            "a,5\n\nb,5,6",
            "line 3: expected a name and a label with a comma between them, found 3 fields",
        ),
        (
            "a;5\nb,5",
            "line 2: expected a name and a label with a semicolon between them, found one field",
        ),
        ("a\t5\nb\t", "line 2: no label for `b`"),
        ("a,5\n,7", "line 2: no name"),
        ("a,5\nb,\"\"", "line 2: no label for `b`"),
        ("a,5\n\"b,5", "line 2: a quote is not closed"),
        ("a,5\n\"b\"c,5", "line 2: letters stand behind a closed quote"),
        (
            "id,age,class\na,1,x",
            "line 1: 3 columns: say which hold names and labels, `label_columns = [\"…\", \"…\"]`, of `id`, `age`, `class`",
        ),
    ] {
        assert_eq!(said(text, None), message, "{text:?}");
    }
    let heads = Some(["id", "class"]);
    assert_eq!(
        said("id,sort\na,1", heads),
        "line 1: no column `class` (`label_columns`); there are: `id`, `sort`"
    );
    assert_eq!(said("id,class,id\na,1,2", heads), "line 1: two columns `id` (`label_columns`)");
    assert_eq!(
        said("id,x,class\na,1", heads),
        "line 2: expected 3 fields with a comma between them, found 2 fields"
    );
    let latin = rows::parse(b"a,5\n\xe9,6", None).unwrap_err().to_string();
    assert_eq!(latin, "line 2: expected a text in UTF-8");
}

#[test]
fn classes_are_ordered_by_number_where_all_are_numbers() {
    let ordered = |labels: &[&'static str]| classes(labels.iter().copied());
    assert_eq!(ordered(&["10", "2", "-1", "2"]).unwrap(), ["-1", "2", "10"]);
    assert_eq!(ordered(&["1.5", "10", "1e0"]).unwrap(), ["1e0", "1.5", "10"]);
    assert_eq!(ordered(&["b", "10", "2"]).unwrap(), ["10", "2", "b"]);
    assert_eq!(ordered(&["nan", "2"]).unwrap(), ["2", "nan"]);
    assert_eq!(
        ordered(&["1", "01"]).unwrap_err().to_string(),
        "parameter `label_files`: the labels `01` and `1` are one number"
    );
}

/// Reads empty files, as nothing is decoded here.
struct Place(tempfile::TempDir);

impl Place {
    fn of(files: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(place)
    }

    fn read(&self, label_files: serde_json::Value) -> Result<Vec<(String, String)>, String> {
        let files = serde_json::from_value(label_files).unwrap();
        let labels = Labels { files: &files, columns: None };
        let all = Files::from_folder(self.0.path()).unwrap();
        let (images, passed_over) = image_folder::read(&all, crate::Color::Rgb, None, Some(labels))
            .map_err(|e| e.to_string())?;
        assert!(passed_over.files.iter().all(|file| file == "README.md"), "{passed_over:?}");
        let examples = images.examples();
        let class = |i| examples.class_of(i).unwrap().to_owned();
        Ok(examples.ids.iter().enumerate().map(|(i, id)| (id.clone(), class(i))).collect())
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(id, class)| (id.to_owned(), class.to_owned())).collect()
}

#[test]
fn names_are_paths_or_ends_of_paths() {
    let place = Place::of(&[
        ("pictures/deep/a.png", ""),
        ("pictures/b.png", ""),
        ("pictures/c.d.png", ""),
        ("pictures/deep/e.png", ""),
        ("e.png", ""),
        ("labels.lst", "a.png,x\n.\\pictures\\b.png,y\nc.d,x\ndeep/e.png,z\ne.png,w\n"),
        ("README.md", ""),
    ]);
    assert_eq!(
        place.read("labels.lst".into()).unwrap(),
        pairs(&[
            ("e.png", "w"),
            ("pictures/b.png", "y"),
            ("pictures/c.d.png", "x"),
            ("pictures/deep/a.png", "x"),
            ("pictures/deep/e.png", "z"),
        ])
    );
    assert_eq!(
        place.read("labels.txt".into()).unwrap_err(),
        "parameter `label_files`: no file `labels.txt`; there is no .txt, .csv or .tsv"
    );
}

/// The layout in which MNIST-M is passed round.
#[test]
fn each_split_has_its_file() {
    let place = Place::of(&[
        ("mnist_m_train/00000001.png", ""),
        ("mnist_m_train/00000000.png", ""),
        ("mnist_m_test/00000000.png", ""),
        ("mnist_m_train_labels.txt", "00000000.png 5\n00000001.png 10\n"),
        ("mnist_m_test_labels.txt", "00000000.png 7\n"),
    ]);
    let files = serde_json::json!({ "train": "mnist_m_train_labels.txt", "test": "mnist_m_test_labels.txt" });
    let expected = pairs(&[
        ("mnist_m_train/00000000.png", "5"),
        ("mnist_m_train/00000001.png", "10"),
        ("mnist_m_test/00000000.png", "7"),
    ]);
    assert_eq!(place.read(files).unwrap(), expected);
    let folders = serde_json::json!({
        "mnist_m_train": "mnist_m_train_labels.txt", "mnist_m_test": "mnist_m_test_labels.txt"
    });
    assert_eq!(place.read(folders).unwrap(), expected);

    for (files, message) in [
        (
            serde_json::json!({ "train": "mnist_m_train_labels.txt" }),
            "parameter `label_files`: no file for the split `test`",
        ),
        (
            serde_json::json!({ "dev": "mnist_m_train_labels.txt" }),
            "parameter `label_files`: no split `dev`; there are: train, test",
        ),
        (
            serde_json::json!({ "train": "mnist_m_train_labels.txt", "mnist_m_train": "mnist_m_test_labels.txt" }),
            "parameter `label_files`: two files for the split `train`",
        ),
        (
            serde_json::json!({ "train": "train.txt" }),
            "parameter `label_files`: no file `train.txt`; there are: `mnist_m_test_labels.txt`, \
             `mnist_m_train_labels.txt`",
        ),
        (
            "mnist_m_train_labels.txt".into(),
            "labels and images do not fit:\n  \
             `mnist_m_train_labels.txt`: 1 line is of several images: `00000000.png` (line 1)\n  \
             2 images have no label in `mnist_m_train_labels.txt`: `mnist_m_train/00000000.png`, \
             `mnist_m_test/00000000.png`",
        ),
    ] {
        assert_eq!(place.read(files).unwrap_err(), message);
    }
    let flat = Place::of(&[("1.png", ""), ("l.txt", "1.png 1")]);
    assert_eq!(flat.read("l.txt".into()).unwrap(), pairs(&[("1.png", "1")]));
    assert_eq!(
        flat.read(serde_json::json!({ "train": "l.txt" })).unwrap_err(),
        "parameter `label_files`: there are no splits: expected one file for all images, or `splits` that names their \
         folders"
    );
}

#[test]
fn names_without_images_and_images_without_names() {
    let names: String = (0..9).map(|i| format!("{i}.png,{}\n", i % 2)).collect();
    let place = Place::of(&[
        ("0.png", ""),
        ("1.png", ""),
        ("x.png", ""),
        ("labels.csv", &format!("{names}./1.png,1\n")),
    ]);
    assert_eq!(
        place.read("labels.csv".into()).unwrap_err(),
        "labels and images do not fit:\n  \
         `labels.csv`: 7 lines are of no image: `2.png` (line 3), `3.png` (line 4), `4.png` (line 5), `5.png` (line 6), \
         `6.png` (line 7), …\n  \
         `labels.csv`: 1 line is of an image that has a label: `./1.png` (lines 2 and 10)\n  \
         1 image has no label in `labels.csv`: `x.png`"
    );
    let place = Place::of(&[("0.png", ""), ("labels.csv", "0.png,1\n\n1.png\n")]);
    assert_eq!(
        place.read("labels.csv".into()).unwrap_err(),
        "label file `labels.csv`: line 3: expected a name and a label with a comma between them, found one field"
    );
}
