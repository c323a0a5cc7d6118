//! The rules that fit the fleet: each kind of sensor has one, which holds in a breach and never outside one.

use serde_json::{Value, json};

use super::sensor::DOOR_OPEN;

/// Bodies of the API's rules. Among them a plain threshold, a duration, a list of conditions that must all hold, and a truth value.
pub fn demo_rules() -> Vec<Value> {
    vec![
        json!({
            "name": "Freezer too warm", "severity": 4, "device_types": ["freezer"],
            "metric_name": "temperature_c", "operator": "GT", "threshold": -10.0, "duration_seconds": 3,
        }),
        json!({
            "name": "Humidity high", "severity": 2, "device_types": ["climate"],
            "metric_name": "humidity_pct", "operator": "GTE", "threshold": 75.0,
        }),
        json!({
            "name": "Motor about to fail", "severity": 5, "device_types": ["motor"], "match_mode": "all",
            "conditions": [
                { "metric_name": "vibration_mm_s", "operator": "GT", "threshold": 7.1 },
                { "metric_name": "bearing_c", "operator": "GT", "threshold": 75.0 },
            ],
        }),
        json!({
            "name": "Battery low", "severity": 3, "device_types": ["tracker"],
            "metric_name": "battery_v", "operator": "LT", "threshold": 3.4,
        }),
        json!({
            "name": "Door left open", "severity": 3, "device_types": ["door"],
            "metric_name": DOOR_OPEN, "operator": "GTE", "threshold": 1.0, "duration_seconds": 3,
        }),
        json!({
            "name": "Pressure lost", "severity": 4, "device_types": ["pump"],
            "metric_name": "pressure_kpa", "operator": "LT", "threshold": 500.0,
        }),
    ]
}
