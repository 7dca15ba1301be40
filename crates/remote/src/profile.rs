//! Profiles of the AWS tools: `~/.aws/credentials` and `~/.aws/config`, which `object_store` does not read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::location::Environment;

/// What a profile may tell, and what that is called as a variable.
const KEYS: [(&str, &str); 6] = [
    ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("aws_session_token", "AWS_SESSION_TOKEN"),
    ("region", "AWS_REGION"),
    ("endpoint_url", "AWS_ENDPOINT_URL"),
    ("role_arn", "AWS_ROLE_ARN"),
];

/// The profile that the environment names, as variables; empty when there is none.
pub(crate) fn read(environment: &Environment) -> BTreeMap<String, String> {
    let profile = name(environment);
    let mut found = BTreeMap::new();
    for (path, heading) in [
        (file(environment, "AWS_CONFIG_FILE", "config"), format!("profile {profile}")),
        (file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), profile.to_owned()),
    ] {
        let Some(text) = path.and_then(|path| std::fs::read_to_string(path).ok()) else { continue };
        found.extend(section(&text, &[&heading, profile]));
    }
    found
}

/// The profile's name.
pub(crate) fn name(environment: &Environment) -> &str {
    environment.get("AWS_PROFILE").map_or("default", String::as_str)
}

fn file(environment: &Environment, variable: &str, name: &str) -> Option<PathBuf> {
    let home = || Some(Path::new(environment.get("HOME")?).join(".aws").join(name));
    environment.get(variable).map(PathBuf::from).or_else(home)
}

/// What a section of one of these names tells.
fn section(text: &str, names: &[&str]) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = names.contains(&heading.trim());
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && let Some((_, variable)) = KEYS.iter().find(|(name, _)| *name == key.trim())
        {
            found.insert((*variable).to_owned(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_profile_is_read_from_both_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(".aws").join(name), text).unwrap();
        };
        write(
            "credentials",
            "[default]\naws_access_key_id = a\n[lab]\naws_access_key_id=b\naws_secret_access_key = s=s\n",
        );
        write("config", "[default]\nregion = r1\n[profile lab]\nregion=r2\noutput = json\n");
        let home = folder.path().to_str().unwrap().to_owned();
        let mut environment = Environment::from([("HOME".to_owned(), home)]);
        let default = read(&environment);
        assert_eq!(default.len(), 2);
        assert_eq!((&*default["AWS_ACCESS_KEY_ID"], &*default["AWS_REGION"]), ("a", "r1"));
        environment.insert("AWS_PROFILE".to_owned(), "lab".to_owned());
        let lab = read(&environment);
        assert_eq!(lab["AWS_SECRET_ACCESS_KEY"], "s=s");
        assert_eq!((&*lab["AWS_ACCESS_KEY_ID"], &*lab["AWS_REGION"]), ("b", "r2"));
        environment.insert("AWS_PROFILE".to_owned(), "none".to_owned());
        assert!(read(&environment).is_empty());
    }
}
