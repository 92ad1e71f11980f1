//! What the commands read from the controllers, besides jobs.

use proto::ctl::{
    ConfigReply, ConfigRequest, NodesReply, NodesRequest, ReservationsReply, ReservationsRequest,
    StatusReply, StatusRequest,
};
use trust::controllers::Target;

use crate::{
    client::{self, Client, Controller},
    trouble::Trouble,
};

pub(crate) async fn nodes(client: &Client, stale_ok: bool) -> Result<NodesReply, Trouble> {
    let attempt = |mut controller: Controller| async move {
        let reply = controller.nodes(client::request(NodesRequest { stale_ok })).await?;
        Ok(reply.into_inner())
    };
    client.call(Target::Any, attempt).await
}

pub(crate) async fn reservations(
    client: &Client,
    stale_ok: bool,
) -> Result<ReservationsReply, Trouble> {
    let attempt = |mut controller: Controller| async move {
        let request = client::request(ReservationsRequest { stale_ok });
        Ok(controller.reservations(request).await?.into_inner())
    };
    client.call(Target::Any, attempt).await
}

pub(crate) async fn config(client: &Client, stale_ok: bool) -> Result<ConfigReply, Trouble> {
    let attempt = |mut controller: Controller| async move {
        let reply = controller.config(client::request(ConfigRequest { stale_ok })).await?;
        Ok(reply.into_inner())
    };
    client.call(Target::Any, attempt).await
}

/// Only the leader knows how far the others are: that is `stale_ok`'s to give up.
pub(crate) async fn status(client: &Client, stale_ok: bool) -> Result<StatusReply, Trouble> {
    let attempt = |mut controller: Controller| async move {
        let reply = controller.status(client::request(StatusRequest { stale_ok })).await?;
        Ok(reply.into_inner())
    };
    client.call(Target::Any, attempt).await
}
