//! The lines of a label file.

use sconce_core::{Error, Result};

/// A line: an image's name and its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) label: String,
    /// From 1.
    pub(super) line: usize,
}

/// What heads of a column of names are called, without spaces, hyphens and underscores, in small letters.
const HEADS: [&str; 18] = [
    "name",
    "names",
    "file",
    "files",
    "filename",
    "filenames",
    "filepath",
    "path",
    "paths",
    "image",
    "images",
    "imagename",
    "imagefile",
    "imagepath",
    "imageid",
    "img",
    "imgname",
    "id",
];

/// What stands between the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Tab,
    Comma,
    Semicolon,
    White,
}

impl Separator {
    /// The first of these that a line has.
    fn of(line: &str) -> Self {
        let known = [('\t', Self::Tab), (',', Self::Comma), (';', Self::Semicolon)];
        known.into_iter().find(|(letter, _)| line.contains(*letter)).map_or(Self::White, |(_, s)| s)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tab => "a tab",
            Self::Comma => "a comma",
            Self::Semicolon => "a semicolon",
            Self::White => "white space",
        }
    }

    fn fields(self, line: &str) -> Result<Vec<String>, &'static str> {
        match self {
            Self::Tab => quoted(line, '\t'),
            Self::Comma => quoted(line, ','),
            Self::Semicolon => quoted(line, ';'),
            Self::White => Ok(line.split_whitespace().map(str::to_owned).collect()),
        }
    }
}

/// The fields of a line of CSV (RFC 4180, on one line), without the white space around them.
fn quoted(line: &str, separator: char) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(line) = rest {
        let start = line.trim_start_matches(|c: char| c.is_whitespace() && c != separator);
        let Some(mut inside) = start.strip_prefix('"') else {
            let (field, after) =
                line.split_once(separator).map_or((line, None), |(f, a)| (f, Some(a)));
            fields.push(field.trim().to_owned());
            rest = after;
            continue;
        };
        let mut field = String::new();
        let after = loop {
            let (text, after) = inside.split_once('"').ok_or("a quote is not closed")?;
            field.push_str(text);
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    inside = more;
                }
                None => break after,
            }
        };
        fields.push(field);
        let after = after.trim_start_matches(|c: char| c.is_whitespace() && c != separator);
        rest = match after.strip_prefix(separator) {
            None if after.is_empty() => None,
            None => return Err("letters stand behind a closed quote"),
            some => some,
        };
    }
    Ok(fields)
}

/// The rows of a file. Its first line tells what separates fields (a tab, else a comma, else a semicolon, else white space),
/// and is no row when it is a line of heads: when `columns` names two of them, or it begins as these usually do.
///
/// # Errors
/// Of a line that is not two fields, or of any without a name or a label.
pub(super) fn parse(bytes: &[u8], columns: Option<&[String; 2]>) -> Result<Vec<Row>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut form: Option<Form> = None;
    let mut rows = Vec::new();
    for (line, bytes) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let wrong = |what: &str| Error::message(format!("line {line}: {what}"));
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("expected a text in UTF-8"))?;
        if text.trim().is_empty() {
            continue;
        }
        let separator = form.as_ref().map_or_else(|| Separator::of(text), |form| form.separator);
        let fields = separator.fields(text.trim_end_matches('\r')).map_err(wrong)?;
        let form = match &form {
            Some(form) => form,
            None => {
                let (first, heads) =
                    Form::of(separator, &fields, columns).map_err(|e| wrong(&e))?;
                let first = form.insert(first);
                if heads {
                    continue;
                }
                first
            }
        };
        let [name, label] = form.name_and_label(&fields).map_err(|e| wrong(&e))?;
        if name.is_empty() {
            return Err(wrong("no name"));
        }
        if label.is_empty() {
            return Err(wrong(&format!("no label for `{name}`")));
        }
        rows.push(Row { name: name.clone(), label: label.clone(), line });
    }
    match rows.is_empty() {
        true => Err(Error::message("expected lines with a name and a label, found none")),
        false => Ok(rows),
    }
}

/// How the lines of a file are made.
struct Form {
    separator: Separator,
    fields: usize,
    /// The columns of names and labels.
    columns: [usize; 2],
}

impl Form {
    /// The form by the first line, and whether that line is one of heads.
    fn of(
        separator: Separator,
        fields: &[String],
        columns: Option<&[String; 2]>,
    ) -> Result<(Self, bool), String> {
        let listed =
            || fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
        let Some(wanted) = columns else {
            let letters = fields.first().map(String::as_str).unwrap_or_default().to_lowercase();
            let letters = letters.replace([' ', '-', '_', '"'], "");
            let heads = HEADS.contains(&letters.as_str());
            if heads && fields.len() > 2 {
                return Err(format!(
                    "{} columns: say which hold names and labels, `label_columns = [\"…\", \"…\"]`, of {}",
                    fields.len(),
                    listed()
                ));
            }
            return Ok((Self { separator, fields: 2, columns: [0, 1] }, heads));
        };
        let column = |name: &String| {
            let mut places = (0..fields.len()).filter(|&place| fields[place] == *name);
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (None, _) => {
                    Err(format!("no column `{name}` (`label_columns`); there are: {}", listed()))
                }
                (Some(_), Some(_)) => Err(format!("two columns `{name}` (`label_columns`)")),
            }
        };
        let columns = [column(&wanted[0])?, column(&wanted[1])?];
        Ok((Self { separator, fields: fields.len(), columns }, true))
    }

    fn name_and_label<'a>(&self, fields: &'a [String]) -> Result<[&'a String; 2], String> {
        if fields.len() != self.fields {
            let expected = match self.fields {
                2 => "a name and a label".to_owned(),
                n => format!("{n} fields"),
            };
            let found = match fields.len() {
                1 => "one field".to_owned(),
                n => format!("{n} fields"),
            };
            return Err(format!(
                "expected {expected} with {} between them, found {found}",
                self.separator.name()
            ));
        }
        Ok(self.columns.map(|column| &fields[column]))
    }
}
