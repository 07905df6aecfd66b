//! What clients of a served model send: values as they stand in the user's file, encoded by the contract of the run.

use underpin_data::{Contract, Kind, RowValue, Takes, ValueEncoder};
use underpin_serve::{Allowed, InputColumn, InputContract, InputValue, OutOfContract};

/// The contract that a run's rows kept, asked of every request.
#[derive(Debug)]
pub(crate) struct ServedInputs {
    encoder: ValueEncoder,
    columns: Vec<InputColumn>,
    /// Columns of the file that the model was trained without.
    ignored: Vec<String>,
}

impl ServedInputs {
    pub(crate) fn new(contract: &Contract) -> Self {
        let encoder = ValueEncoder::new(contract);
        let published = |(name, takes): (&str, Takes<'_>)| InputColumn {
            name: name.to_owned(),
            // A contract has no units yet.
            unit: None,
            allowed: match takes {
                Takes::Number { min, max, lowest, highest } => Allowed::Number { min, max, lowest, highest },
                Takes::Words(words) => Allowed::Words(words.to_vec()),
            },
        };
        let columns = encoder.columns().map(published).collect();
        let ignored = contract.columns().iter().filter(|column| matches!(column.kind, Kind::Ignored { .. }));
        let ignored = ignored.map(|column| column.name.clone()).collect();
        Self { encoder, columns, ignored }
    }
}

impl InputContract for ServedInputs {
    fn columns(&self) -> &[InputColumn] {
        &self.columns
    }

    fn encode(&self, column: usize, value: InputValue<'_>, row: &mut [f32]) -> Result<(), OutOfContract> {
        let value = match value {
            InputValue::Number(number) => RowValue::Number(number),
            InputValue::Text(text) => RowValue::Text(text),
        };
        self.encoder.encode(column, value, row).map_err(|fault| OutOfContract {
            column: fault.column,
            value: fault.value,
            allowed: fault.allowed,
        })
    }

    fn ignores(&self, name: &str) -> bool {
        self.ignored.iter().any(|ignored| ignored == name)
    }
}
