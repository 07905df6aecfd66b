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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use underpin_data::{Limits, NamedBytes, Source};

    use super::*;

    /// A table of three kinds of columns, of which one is left out, with values beyond the range of most.
    fn table() -> String {
        let mut text = String::from("height,salary,region,row,label\n");
        for at in 0..120_u32 {
            let salary = if at % 40 == 7 { 250_000 } else { 20_000 + 317 * (at * 31 % 97) };
            let (region, label) = (["north", "south", "east"][(at % 3) as usize], ["short", "tall"][(at % 2) as usize]);
            writeln!(text, "{}.{},{salary},{region},{at},{label}", 150 + at * 7 % 50, at % 10).expect("to a string");
        }
        text
    }

    #[test]
    fn a_value_is_encoded_as_in_training() {
        let text = table();
        let file = NamedBytes { name: "table.csv", bytes: text.as_bytes() };
        let raw = underpin_data::from_bytes(file, None, &Source::new("table.csv"), &Limits::default()).unwrap();
        let contract = Contract::infer(&raw).unwrap();
        let trained = underpin_data::admit(raw.clone(), &contract).unwrap().value;
        let inputs = trained.rows().examples().inputs();
        let width = inputs.shape().size();
        let served = ServedInputs::new(&contract);
        assert!(served.ignores("row") && !served.ignores("salary"));
        assert_eq!(trained.rows().ids().len(), 120);
        for (at, id) in trained.rows().ids().iter().enumerate() {
            let row = raw.row(*id).unwrap();
            let mut features = vec![0.0; width];
            for (column, published) in served.columns().iter().enumerate() {
                let cell = raw.columns().iter().position(|name| *name == published.name).unwrap();
                let text = row.cell(cell).unwrap();
                let value = match published.allowed {
                    Allowed::Number { .. } => InputValue::Number(text.parse().unwrap()),
                    Allowed::Words(_) => InputValue::Text(&text),
                };
                served.encode(column, value, &mut features).unwrap();
            }
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&features), bits(&inputs.values()[at * width..][..width]), "row {id}");
        }
        let far = served.encode(1, InputValue::Number(1e30), &mut vec![0.0; width]).unwrap_err();
        assert_eq!(far.column, "salary");
    }
}
