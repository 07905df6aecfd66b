//! underpin-metrics
