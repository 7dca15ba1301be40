//! Classes by name.

use sconce_core::{Error, Result};

use crate::Model;

impl Model {
    /// The number of the class called `name`. See [`class_number`].
    ///
    /// # Errors
    /// As [`class_number`]; the error names the parameter `key`.
    pub fn class_number(&self, key: &str, name: &str) -> Result<u32> {
        class_number(key, self.classes(), name)
    }
}

/// The number of the class called `name`: its whole name, one of the synonyms that it lists with commas (in any case of
/// letters), or its number.
///
/// Digits are a number even where classes have numbers as names (where these differ, as in a part of MNIST, the name wins).
///
/// # Errors
/// When no class or several are called so; the error names the parameter `key`.
pub fn class_number(key: &str, classes: &[String], name: &str) -> Result<u32> {
    let name = name.trim();
    if let Some(place) = classes.iter().position(|class| class == name) {
        return Ok(place as u32);
    }
    if let Ok(number) = name.parse::<u32>() {
        if classes.is_empty() || (number as usize) < classes.len() {
            return Ok(number);
        }
        let message = format!("expected a class below {}, found {number}", classes.len());
        return Err(Error::parameter(key, message));
    }
    let wanted = name.to_lowercase();
    let called =
        |class: &&String| class.split(',').any(|part| part.trim().to_lowercase() == wanted);
    let found: Vec<_> = classes.iter().enumerate().filter(|(_, class)| called(class)).collect();
    match found[..] {
        [(place, _)] => Ok(place as u32),
        [] => {
            let like = |class: &&String| class.to_lowercase().contains(&wanted);
            let near: Vec<_> =
                classes.iter().filter(like).take(5).map(|c| format!("`{c}`")).collect();
            let hint = match near.is_empty() {
                true => String::new(),
                false => format!("; there are {}", near.join(", ")),
            };
            let message =
                format!("expected the name or the number of a class, found `{name}`{hint}");
            Err(Error::parameter(key, message))
        }
        _ => {
            let numbers: Vec<_> = found.iter().map(|(place, _)| place.to_string()).collect();
            let message = format!(
                "several classes are called `{name}`: expected one of their numbers, {}",
                numbers.join(", ")
            );
            Err(Error::parameter(key, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_synonyms_and_numbers() {
        let classes = sconce_data::embedded::imagenet_classes();
        let find =
            |name: &str| class_number("target", &classes, name).map_err(|error| error.to_string());
        for (name, number) in [
            ("stingray", 6),
            ("tinca tinca", 0),
            ("tench, Tinca tinca", 0),
            ("Gorilla", 366),
            (" hay ", 958),
            ("662", 662),
            ("tick", 78),
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
            class_number("target", &["a, x".into(), "b, x".into()], "X").unwrap_err().to_string(),
            "parameter `target`: several classes are called `X`: expected one of their numbers, 0, 1"
        );
        let digits: Vec<String> = ["3", "5", "7"].map(String::from).into();
        assert_eq!(class_number("target", &digits, "5").unwrap(), 1);
        assert_eq!(class_number("target", &digits, "2").unwrap(), 2);
        assert_eq!(class_number("target", &[], "12").unwrap(), 12);
    }
}
