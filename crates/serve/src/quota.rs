//! A client's quota: how many queries it may ask, and how fast.

use serde::{Deserialize, Serialize};

use crate::Rate;

/// How many queries one client may ask. One query is one input row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Queries over the client's lifetime; none is ever given back.
    pub queries: u64,
    /// How fast they may be asked; as fast as the server answers if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<Rate>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: u32, burst: u32) -> Rate {
        Rate { rate: rate.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    #[test]
    fn a_quota_reads_as_it_is_written() {
        let quota = Quota { queries: 1000, per_second: Some(rate(5, 50)) };
        let json = serde_json::to_string(&quota).unwrap();
        assert_eq!(json, r#"{"queries":1000,"per_second":{"rate":5,"burst":50}}"#);
        assert_eq!(serde_json::from_str::<Quota>(&json).unwrap(), quota);
        for bad in [r#"{"queries":-1}"#, r#"{"queries":1,"per_second":{"rate":0,"burst":1}}"#, r#"{"query":1}"#] {
            assert!(serde_json::from_str::<Quota>(bad).is_err(), "{bad}");
        }
    }
}
