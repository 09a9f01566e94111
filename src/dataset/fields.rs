//! Members of a manifest, in their order.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::Value;

use crate::error::{Error, Result};

/// Names that the dataset gives meaning to, and formats may not use.
const OWN_NAMES: [&str; 19] = [
    "format",
    "version",
    "created",
    "created_by",
    "dataset_version",
    "parent",
    "transaction",
    "operation",
    "source",
    "stands_for",
    "oldest_version",
    "tags",
    "required_features",
    "inputs",
    "objects",
    "chunk_segments",
    "chunks",
    "condemned",
    "digest",
];

/// The members of a manifest that belong to the format, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Sets a member, after all others if it is new.
    ///
    /// # Errors
    ///
    /// When the dataset has a member of that name itself, or the value is not representable.
    pub fn set(&mut self, name: &str, value: impl Serialize) -> Result<()> {
        if OWN_NAMES.contains(&name) {
            return Err(Error::internal(format!("'{name}' is not a name for a format's field")));
        }
        let value = serde_json::to_value(value)
            .map_err(|e| Error::internal(format!("cannot write field '{name}'")).caused_by(e))?;
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// The members of `details`, in the order of `names`, which are all of its names: JSON objects
    /// of the library keep none.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) where a member has no place among `names`,
    /// and would be lost; as [`set`](Self::set).
    pub fn in_order(details: &impl Serialize, names: &[&str]) -> Result<Self> {
        let value = serde_json::to_value(details)
            .map_err(|error| Error::internal("describing the dataset").caused_by(error))?;
        let Value::Object(mut members) = value else {
            return Err(Error::internal("what describes the dataset is no object"));
        };
        let mut fields = Self::default();
        for name in names {
            if let Some(value) = members.remove(*name) {
                fields.set(name, value)?;
            }
        }
        match members.keys().next() {
            None => Ok(fields),
            Some(name) => Err(Error::internal(format!("member '{name}' has no place"))),
        }
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Reads a member that must be there.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) when it is missing or of another type.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self
            .get(name)
            .ok_or_else(|| Error::corrupt(format!("the manifest has no member '{name}'")))?;
        T::deserialize(value)
            .map_err(|e| Error::corrupt(format!("member '{name}' of the manifest")).caused_by(e))
    }

    /// All members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(at) = self.0.iter().position(|(other, _)| other == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        serde_json::from_value(value)
            .map(Some)
            .map_err(|e| Error::corrupt(format!("member '{name}' of the manifest")).caused_by(e))
    }

    pub(super) fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        self.take(name)?
            .ok_or_else(|| Error::corrupt(format!("the manifest has no member '{name}'")))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut seen = HashSet::new();
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !seen.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("'{name}' comes twice")));
                    }
                    members.push((name, value));
                }
                Ok(Fields(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn test_fields_leave_the_names_of_the_dataset_alone() {
        let mut fields = Fields::default();
        assert!(fields.set("chunks", 1).is_err());
        fields.set("a", 1).unwrap();
        fields.set("b", 2).unwrap();
        fields.set("a", 3).unwrap();
        assert_eq!(fields.read::<u64>("a").unwrap(), 3);
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fields.read::<u64>("c").unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn test_fields_come_in_the_order_of_their_names_and_none_is_lost() {
        let details = serde_json::json!({ "a": 1, "z": 2 });
        let fields = Fields::in_order(&details, &["z", "absent", "a"]).unwrap();
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["z", "a"]);
        let error = Fields::in_order(&details, &["z"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
