//! Pickles, read without running anything: calls stay what they are, names and arguments.
//!
//! Protocols 2 to 5, and what of the older ones `torch.save` can write. Objects lie in an arena, so that one that stands in
//! two places, or is filled after it was noted, is the same in both. The instructions are those of CPython's `pickletools`.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::rc::Rc;

use sconce_core::{Error, Result};

/// A value, or where one lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits, little-endian in two's complement.
    Long(Rc<[u8]>),
    Float,
    Text(Rc<str>),
    Bytes,
    Object(usize),
}

/// What lies in the arena.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// Lists and sets.
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Global {
        module: String,
        name: String,
    },
    /// A call that is not made, or an object that is not built.
    Call {
        callable: Value,
        arguments: Value,
        state: Option<Value>,
    },
    /// What the file keeps outside the pickle: a storage.
    Persistent(Value),
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    pub(super) root: Value,
}

impl Pickle {
    /// All objects.
    pub(super) fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The object that a value is the place of.
    pub(super) fn object(&self, value: &Value) -> Option<&Object> {
        match value {
            Value::Object(place) => self.objects.get(*place),
            _ => None,
        }
    }

    /// The entries of a dictionary.
    pub(super) fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match self.object(value)? {
            Object::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// The values of a tuple or list.
    pub(super) fn sequence(&self, value: &Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Tuple(values) | Object::List(values) => Some(values),
            _ => None,
        }
    }

    /// Module and name of a global.
    pub(super) fn global(&self, value: &Value) -> Option<(&str, &str)> {
        match self.object(value)? {
            Object::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// What is called, and with what.
    pub(super) fn call(&self, value: &Value) -> Option<((&str, &str), &[Value])> {
        match self.object(value)? {
            Object::Call { callable, arguments, .. } => {
                Some((self.global(callable)?, self.sequence(arguments).unwrap_or_default()))
            }
            _ => None,
        }
    }
}

fn wrong(what: &str) -> Error {
    Error::message(format!("a pickle that cannot be read: {what}"))
}

/// Reads one pickle, up to its end.
pub(super) fn read(input: &mut impl BufRead) -> Result<Pickle> {
    let mut machine = Machine {
        input,
        objects: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
    };
    while !machine.step()? {}
    let root = machine.pop()?;
    Ok(Pickle { objects: machine.objects, root })
}

struct Machine<'a, R> {
    input: &'a mut R,
    objects: Vec<Object>,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u64, Value>,
}

impl<R: BufRead> Machine<'_, R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| wrong("it ends too early"))?;
        Ok(bytes)
    }

    /// A number of `N` bytes, little-endian.
    fn number<const N: usize>(&mut self) -> Result<u64> {
        let bytes = self.bytes::<N>()?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// So many bytes; no more room is taken than there are.
    fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(count).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == count => Ok(bytes),
            _ => Err(wrong("it ends too early")),
        }
    }

    fn text(&mut self, count: u64) -> Result<Value> {
        let text = String::from_utf8(self.take(count)?).map_err(|_| wrong("a text is no UTF-8"))?;
        Ok(Value::Text(text.into()))
    }

    /// A line without its end.
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line).map_err(|_| wrong("it ends too early"))?;
        let line = String::from_utf8(line).map_err(|_| wrong("a line is no UTF-8"))?;
        Ok(line.trim_end_matches(['\n', '\r']).to_owned())
    }

    fn pop(&mut self) -> Result<Value> {
        if self.marks.last().is_some_and(|mark| *mark >= self.stack.len()) {
            return Err(wrong("a value is missing"));
        }
        self.stack.pop().ok_or_else(|| wrong("a value is missing"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| wrong("a mark is missing"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn add(&mut self, object: Object) -> Value {
        self.objects.push(object);
        Value::Object(self.objects.len() - 1)
    }

    fn push(&mut self, object: Object) {
        let value = self.add(object);
        self.stack.push(value);
    }

    fn tuple(&mut self, count: usize) -> Result<()> {
        let mut values = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        values.reverse();
        self.push(Object::Tuple(values));
        Ok(())
    }

    /// The object on top of the stack.
    fn top(&mut self) -> Result<&mut Object> {
        match self.stack.last() {
            Some(Value::Object(place)) => {
                self.objects.get_mut(*place).ok_or_else(|| wrong("an object is missing"))
            }
            _ => Err(wrong("an object is missing")),
        }
    }

    fn append(&mut self, values: Vec<Value>) -> Result<()> {
        // Lists of a class of their own are filled too; nobody looks into them.
        if let Object::List(list) = self.top()? {
            list.extend(values);
        }
        Ok(())
    }

    fn set_items(&mut self, values: &[Value]) -> Result<()> {
        if let Object::Dict(entries) = self.top()? {
            // A key that is set again stands there twice: its last value counts.
            entries.extend(values.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        }
        Ok(())
    }

    fn note(&mut self, place: u64) -> Result<()> {
        let top = self.stack.last().ok_or_else(|| wrong("a value is missing"))?.clone();
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u64) -> Result<()> {
        let value = self.memo.get(&place).ok_or_else(|| wrong("a value is missing"))?.clone();
        self.stack.push(value);
        Ok(())
    }

    fn long(&mut self, count: u64) -> Result<()> {
        let bytes = self.take(count)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let value = if bytes.len() <= 8 {
            let mut all = [if negative { 0xff } else { 0 }; 8];
            all[..bytes.len()].copy_from_slice(&bytes);
            Value::Int(i64::from_le_bytes(all))
        } else {
            Value::Long(bytes.into())
        };
        self.stack.push(value);
        Ok(())
    }

    fn global(&mut self, module: String, name: String) {
        self.push(Object::Global { module, name });
    }

    /// Calls with these arguments, except that dictionaries are made.
    fn call(&mut self, callable: Value, arguments: Value) {
        let is_dict = match &callable {
            Value::Object(place) => matches!(
                self.objects.get(*place),
                Some(Object::Global { module, name })
                    if module == "collections" && (name == "OrderedDict" || name == "defaultdict")
            ),
            _ => false,
        };
        let object = match is_dict {
            true => Object::Dict(Vec::new()),
            false => Object::Call { callable, arguments, state: None },
        };
        self.push(object);
    }

    /// Does one instruction; true at the end.
    fn step(&mut self) -> Result<bool> {
        let [code] = self.bytes()?;
        match code {
            b'.' => return Ok(true),
            // protocol, frame
            0x80 => drop(self.bytes::<1>()?),
            0x95 => drop(self.bytes::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.stack.last().ok_or_else(|| wrong("a value is missing"))?.clone();
                self.stack.push(top);
            }
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => self.small::<1>()?,
            b'M' => self.small::<2>()?,
            b'J' => {
                let number = i32::from_le_bytes(self.bytes()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'I' => {
                let value = match self.line()?.as_str() {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    number => Value::Int(number.parse().map_err(|_| wrong("a number is none"))?),
                };
                self.stack.push(value);
            }
            b'L' => {
                let line = self.line()?;
                let number = line.trim_end_matches('L').parse();
                self.stack.push(Value::Int(number.map_err(|_| wrong("a number is too large"))?));
            }
            0x8a => {
                let count = self.number::<1>()?;
                self.long(count)?;
            }
            0x8b => {
                let count = self.number::<4>()?;
                self.long(count)?;
            }
            b'G' => {
                self.bytes::<8>()?;
                self.stack.push(Value::Float);
            }
            b'F' => {
                self.line()?;
                self.stack.push(Value::Float);
            }
            0x8c | b'U' => self.sized_text::<1>()?,
            b'X' | b'T' => self.sized_text::<4>()?,
            0x8d => self.sized_text::<8>()?,
            b'V' => {
                let line = self.line()?;
                self.stack.push(Value::Text(line.into()));
            }
            b'S' => {
                let line = self.line()?;
                self.stack.push(Value::Text(line.trim_matches(['\'', '"']).into()));
            }
            b'C' => self.skip_bytes::<1>()?,
            b'B' => self.skip_bytes::<4>()?,
            0x8e | 0x96 => self.skip_bytes::<8>()?,
            b')' => self.push(Object::Tuple(Vec::new())),
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let values = self.pop_to_mark()?;
                self.push(Object::Tuple(values));
            }
            b']' | 0x8f => self.push(Object::List(Vec::new())),
            b'l' | 0x91 => {
                let values = self.pop_to_mark()?;
                self.push(Object::List(values));
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' | 0x90 => {
                let values = self.pop_to_mark()?;
                self.append(values)?;
            }
            b'}' => self.push(Object::Dict(Vec::new())),
            b'd' => {
                let values = self.pop_to_mark()?;
                self.push(Object::Dict(Vec::new()));
                self.set_items(&values)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let values = self.pop_to_mark()?;
                self.set_items(&values)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name);
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => {
                    self.global(module.as_ref().into(), name.as_ref().into());
                }
                _ => return Err(wrong("a name is no text")),
            },
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments);
            }
            0x92 => {
                let (_named, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, arguments);
            }
            b'b' => {
                let with = self.pop()?;
                // A dictionary's state are attributes, such as the versions of a state dictionary.
                if let Object::Call { state, .. } = self.top()? {
                    *state = Some(with);
                }
            }
            b'Q' => {
                let value = self.pop()?;
                self.push(Object::Persistent(value));
            }
            b'q' => {
                let place = self.number::<1>()?;
                self.note(place)?;
            }
            b'r' => {
                let place = self.number::<4>()?;
                self.note(place)?;
            }
            0x94 => self.note(self.memo.len() as u64)?,
            b'h' => {
                let place = self.number::<1>()?;
                self.recall(place)?;
            }
            b'j' => {
                let place = self.number::<4>()?;
                self.recall(place)?;
            }
            b'p' | b'g' => {
                let place = self.line()?.parse().map_err(|_| wrong("a number is none"))?;
                if code == b'p' { self.note(place)? } else { self.recall(place)? }
            }
            other => return Err(wrong(&format!("instruction {other:#04x} is not known"))),
        }
        Ok(false)
    }

    fn small<const N: usize>(&mut self) -> Result<()> {
        let number = self.number::<N>()?;
        // Of at most two bytes.
        self.stack.push(Value::Int(number as i64));
        Ok(())
    }

    fn sized_text<const N: usize>(&mut self) -> Result<()> {
        let count = self.number::<N>()?;
        let text = self.text(count)?;
        self.stack.push(text);
        Ok(())
    }

    fn skip_bytes<const N: usize>(&mut self) -> Result<()> {
        let count = self.number::<N>()?;
        self.take(count)?;
        self.stack.push(Value::Bytes);
        Ok(())
    }
}
