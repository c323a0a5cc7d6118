//! One tenant's trouble is not another's.

use pulse_domain::ids::TenantId;
use serde_json::json;
use sqlx::Connection as _;

use crate::fixture::{World, eventually, quick};

async fn shown_error(world: &World, tenant: &TenantId, rule_id: pulse_domain::ids::RuleId) -> Option<String> {
    world.store.rule(tenant, rule_id).await.unwrap().unwrap().error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_rule_is_counted_and_shown_and_the_others_judge_on() {
    let world = World::new().await;
    let (bad, good) = (world.tenant("bad", 1).await, world.tenant("good", 1).await);
    let mut nameless = world.rule(&bad, json!({"metric_name": null})).await;
    world.rule(&bad, json!({"name": "works"})).await;
    world.rule(&good, json!({})).await;
    let evaluator = world.evaluator().await;
    for tenant in [&bad, &good] {
        world.temps(tenant, 0, &[90.0]).await;
        eventually("its alert opened", async || world.history(tenant).await == "OPEN").await;
    }
    let error = shown_error(&world, &bad, nameless.rule_id).await.unwrap();
    assert!(error.starts_with("metric_name is missing"), "{error}");
    eventually("it is counted", async || evaluator.of(&bad, "evaluation_errors") == 1.0).await;
    world.temps(&bad, 0, &[91.0]).await;
    eventually("it is counted as often as it is left out", async || evaluator.of(&bad, "evaluation_errors") == 2.0).await;
    assert_eq!(evaluator.of(&good, "evaluation_errors"), 0.0);
    assert_eq!(evaluator.cycles("error"), 0.0);

    nameless.spec.metric_name = Some("temp".to_owned());
    assert!(world.store.update_rule(&nameless, &Default::default()).await.unwrap());
    world.temps(&bad, 0, &[92.0]).await;
    eventually("put right, it judges", async || world.history(&bad).await == "OPEN OPEN").await;
    assert_eq!(shown_error(&world, &bad, nameless.rule_id).await, None);
    assert_eq!(evaluator.of(&bad, "evaluation_errors"), 2.0);
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_read_stop_only_their_tenant() {
    let world = World::new().await;
    let (bad, good) = (world.tenant("bad", 1).await, world.tenant("good", 1).await);
    world.rule(&bad, json!({})).await;
    world.rule(&good, json!({})).await;
    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", world.file.display())).await.unwrap();
    sqlx::query("UPDATE rules SET spec = '{\"kind\": \"of a later version\"}' WHERE tenant_id = 'bad'").execute(&mut other).await.unwrap();
    for tenant in [&bad, &good] {
        world.temps(tenant, 0, &[90.0]).await;
    }
    let evaluator = world.evaluator_with(quick()).await;
    eventually("the other tenant's alert opened", async || world.history(&good).await == "OPEN").await;
    eventually("the tenant's devices are counted", async || evaluator.of(&bad, "evaluation_errors") == 1.0).await;
    assert_eq!(world.alerts(&bad).await, []);
    assert_eq!(world.depth().await, 1, "the device that could not be judged waits");
    assert_eq!((evaluator.of(&good, "evaluation_errors"), evaluator.cycles("error")), (0.0, 0.0));
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_share_nothing_but_the_cycle() {
    let world = World::new().await;
    let (one, two) = (world.tenant("one", 1).await, world.tenant("two", 1).await);
    world.rule(&one, json!({"threshold": 50})).await;
    world.rule(&two, json!({"threshold": 70})).await;
    for tenant in [&one, &two] {
        world.temps(tenant, 0, &[60.0]).await;
    }
    let evaluator = world.evaluator().await;
    world.evaluated().await;
    assert_eq!((world.alerts(&one).await.len(), world.alerts(&two).await.len()), (1, 0));
    for tenant in [&one, &two] {
        eventually("its evaluation is counted", async || evaluator.of(tenant, "rules_evaluated") == 1.0).await;
    }
    assert_eq!((evaluator.of(&one, "alerts_created"), evaluator.of(&two, "alerts_created")), (1.0, 0.0));
    evaluator.stop().await;
}

/// What happens between a claim and its commit is done by a trigger, at the very moment: while the batch is committed, the rule of one tenant
/// is deleted and the alert of another is silenced.
#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_counts_what_the_store_carried_out_for_it() {
    let world = World::new().await;
    let mut tenants = Vec::new();
    for name in ["deleted", "fine", "silenced"] {
        let tenant = world.tenant(name, 1).await;
        let rule = world.rule(&tenant, json!({})).await;
        world.temps(&tenant, 0, &[90.0]).await;
        tenants.push((tenant, rule.rule_id));
    }
    let trigger = format!(
        "CREATE TRIGGER meanwhile BEFORE UPDATE OF memory ON device_state BEGIN
            DELETE FROM rules WHERE tenant_id = 'deleted';
            INSERT OR IGNORE INTO silences VALUES ('silenced', 'RULE:{}:d0', 'd0', 9000000000000000);
        END",
        tenants[2].1
    );
    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", world.file.display())).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(trigger)).execute(&mut other).await.unwrap();

    let evaluator = world.traced().await;
    let spans = evaluator.spans("process devices_to_evaluate", tenants.len()).await;
    for span in spans {
        let applied = span.attribute("pulse.tenant.id") == Some("fine");
        assert_eq!(span.attribute("error.type"), (!applied).then_some("not_applied"), "{span:?}");
    }
    eventually("the one that opened is counted", async || evaluator.of(&tenants[1].0, "alerts_created") == 1.0).await;
    for (tenant, alerts) in [(&tenants[0].0, 0), (&tenants[1].0, 1), (&tenants[2].0, 0)] {
        assert_eq!(world.alerts(tenant).await.len(), alerts, "{tenant}");
        assert_eq!(evaluator.of(tenant, "alerts_created") == 1.0, alerts == 1, "{tenant}");
    }
    evaluator.stop().await;
}
