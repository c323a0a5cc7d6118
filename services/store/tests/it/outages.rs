
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn cost_of_pings() {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    Postgres::new(&database.url()).unwrap().migrate().await.unwrap();
    let store = store(&database.url());
    for _ in 0..3 {
        let began = Instant::now();
        for _ in 0..2000 { store.ping().await.unwrap(); }
        println!("2000 transactions {:?}", began.elapsed());
    }
}
