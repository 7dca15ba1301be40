//! The devices that this machine has, and why one cannot be used.

use std::path::Path;

use sconce_core::{ByteSize, Device, DeviceChoice, DeviceClass};

use crate::environment;
use crate::failure::Failure;

/// Why there is no device for a choice.
#[derive(Debug)]
pub(super) struct Missing {
    /// What there is instead.
    found: String,
    /// Whether what the program was built with counts.
    ours: bool,
}

impl Missing {
    /// In a line.
    pub(super) fn in_short(&self) -> String {
        match self.ours {
            true => format!("{} (built with {})", self.found, built_with()),
            false => self.found.clone(),
        }
    }

    /// The error for who asked for `choice` at `place`.
    pub(super) fn failure(
        &self,
        place: &str,
        choice: DeviceChoice,
        stage: Option<&str>,
    ) -> Failure {
        let of = stage.map(|stage| format!(" of stage `{stage}`")).unwrap_or_default();
        let mut text = format!("{place}{of}: there is no device `{choice}` that can be used\n");
        if self.ours {
            text += &format!("  built with: {}\n", built_with());
        }
        text += &format!("  found: {}\n", self.found);
        let build = match choice {
            _ if !self.ours => "",
            DeviceChoice::Metal(_) => "a build with `--features metal` on a Mac, ",
            _ if built_in(DeviceClass::Cuda) => {
                "the libraries of CUDA where `sconce doctor` finds them, "
            }
            _ => "a build with `just build-cuda` on a machine with an NVIDIA driver, ",
        };
        text += &format!(
            "  what helps: {build}`--device cpu`, or `--device auto`, which takes what there is \
             (docs/devices.md)"
        );
        Failure::usage(text)
    }
}

/// The devices that a choice means. Programs that cells start bring their own code for devices: for them (`programs`) it is enough
/// that the machine has one.
pub(super) fn find(choice: DeviceChoice, programs: bool) -> Result<Vec<Device>, Missing> {
    match choice {
        DeviceChoice::Usual | DeviceChoice::Cpu => Ok(Vec::new()),
        DeviceChoice::Auto => find(DeviceChoice::Cuda(None), programs)
            .or_else(|missing| find(DeviceChoice::Metal(None), programs).map_err(|_| missing)),
        DeviceChoice::Cuda(id) => one(all(DeviceClass::Cuda, programs)?, id, programs),
        DeviceChoice::Metal(id) => one(all(DeviceClass::Metal, programs)?, id, programs),
    }
}

/// Whether cells of this kind start programs of somebody else's.
pub(super) fn is_program(kind: &str) -> bool {
    kind == "command"
}

fn one(all: Vec<Device>, id: Option<usize>, programs: bool) -> Result<Vec<Device>, Missing> {
    let Some(id) = id else { return Ok(all) };
    let number = |device: &Device| match device {
        Device::Cpu => None,
        Device::Cuda(number) | Device::Metal(number) => Some(*number),
    };
    match all.iter().find(|device| number(device) == Some(id)) {
        Some(device) => Ok(vec![*device]),
        None => {
            let names: Vec<_> = all.iter().map(Device::to_string).collect();
            Err(Missing { found: names.join(", "), ours: !programs })
        }
    }
}

fn all(class: DeviceClass, programs: bool) -> Result<Vec<Device>, Missing> {
    if let Ok(Some(played)) = environment::text(environment::TEST_DEVICES) {
        let played = played.split(',').filter_map(|name| name.parse::<Device>().ok());
        let played: Vec<_> = played.filter(|device| device.class() == class).collect();
        return match played.is_empty() {
            false => Ok(played),
            true => Err(Missing { found: "none that is played".to_owned(), ours: !programs }),
        };
    }
    if programs && class == DeviceClass::Cuda {
        let seen = seen_by_the_driver();
        return match seen.is_empty() {
            false => Ok((0..seen.len()).map(Device::Cuda).collect()),
            true => Err(Missing { found: driver(), ours: false }),
        };
    }
    match accelerators(class) {
        Ok(found) if !found.is_empty() => Ok(found.into_iter().map(|one| one.device).collect()),
        Ok(_) => Err(Missing { found: driver(), ours: true }),
        // What the program lacks it says by its features.
        Err(_) if !built_in(class) => Err(Missing { found: driver(), ours: true }),
        Err(why) => Err(Missing { found: format!("{}; {why}", driver()), ours: true }),
    }
}

/// The driver of NVIDIA's devices, in words.
fn driver() -> String {
    match std::fs::read_to_string("/proc/driver/nvidia/version") {
        Ok(text) => {
            let devices = seen_by_the_driver().join(", ");
            let version = text.lines().next().unwrap_or_default();
            format!("an NVIDIA driver ({}) with {devices}", version.trim())
        }
        Err(_) => crate::system::NO_DRIVER.to_owned(),
    }
}

/// The models of the devices that the NVIDIA driver of this machine lists, as many as this process may see.
fn seen_by_the_driver() -> Vec<String> {
    let Ok(folders) = std::fs::read_dir("/proc/driver/nvidia/gpus") else { return Vec::new() };
    let mut folders: Vec<_> = folders.flatten().map(|folder| folder.path()).collect();
    folders.sort();
    let mut models: Vec<_> = folders.iter().map(|folder| model(folder)).collect();
    if let Ok(Some(visible)) = environment::text(environment::VISIBLE) {
        models.truncate(visible.split(',').count());
    }
    models
}

fn model(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("information")).unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("Model:"));
    model.map_or_else(|| "a device".to_owned(), |model| model.trim().to_owned())
}

/// What there is, a line each with its title: for `sconce doctor`.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    let mut lines = vec![("built with", built_with()), ("devices", "cpu".to_owned())];
    for class in [DeviceClass::Cuda, DeviceClass::Metal] {
        match accelerators(class) {
            Ok(found) => lines.extend(found.into_iter().map(|one| ("", one.text()))),
            Err(why) if built_in(class) => lines.push(("", format!("no {class}: {why}"))),
            Err(_) => {}
        }
    }
    lines.push(("driver", driver()));
    if let Ok(Some(visible)) = environment::text(environment::VISIBLE) {
        lines.push(("", format!("{} is {visible}", environment::VISIBLE)));
    }
    lines
}

/// A device, for people.
struct Accelerator {
    device: Device,
    name: String,
    memory: Option<u64>,
}

impl Accelerator {
    fn text(&self) -> String {
        let mut text = self.device.to_string();
        if !self.name.is_empty() {
            text += &format!(", {}", self.name);
        }
        if let Some(bytes) = self.memory {
            text += &format!(", {}", ByteSize(bytes));
        }
        text
    }
}

#[cfg(feature = "chapters")]
fn accelerators(class: DeviceClass) -> Result<Vec<Accelerator>, String> {
    let found = sconce_models::device::accelerators(class)?;
    let one = |found: sconce_models::device::Accelerator| Accelerator {
        device: found.device,
        name: found.name,
        memory: found.memory,
    };
    Ok(found.into_iter().map(one).collect())
}

#[cfg(not(feature = "chapters"))]
fn accelerators(_: DeviceClass) -> Result<Vec<Accelerator>, String> {
    Err("no kind of this program computes on a device".to_owned())
}

#[cfg(feature = "chapters")]
fn built_with() -> String {
    sconce_models::device::built_with()
}

#[cfg(not(feature = "chapters"))]
fn built_with() -> String {
    "no networks, which the feature `chapters` brings".to_owned()
}

fn built_in(class: DeviceClass) -> bool {
    match class {
        DeviceClass::Cpu => true,
        DeviceClass::Cuda => cfg!(feature = "cuda"),
        DeviceClass::Metal => cfg!(feature = "metal"),
    }
}
