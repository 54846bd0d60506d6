//! Conformance, scenarios, faults and tidiness of naq.
