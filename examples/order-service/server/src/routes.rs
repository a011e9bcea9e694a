//! What the service answers to which request.

use orders::{Order, Receipt};
use tracing::{debug, info_span, warn};

use crate::form;
use crate::http::{Request, Response};

/// An answer, and what comes after it.
#[derive(Debug)]
pub enum Outcome {
    /// The service goes on.
    Answer(Response),
    /// The service ends.
    Stop(Response),
}

impl From<Response> for Outcome {
    fn from(response: Response) -> Self {
        Self::Answer(response)
    }
}

/// Answers `request`.
pub fn handle(request: &Request) -> Outcome {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/healthz") => Response::new(200, "ok\n").into(),
        ("POST", "/orders") => create_order(&request.body).into(),
        ("POST", "/shutdown") => Outcome::Stop(Response::new(202, "stopping\n")),
        (_, "/healthz" | "/orders" | "/shutdown") => {
            Response::new(405, "no such method here\n").into()
        }
        _ => Response::new(404, "nothing here\n").into(),
    }
}

fn create_order(body: &[u8]) -> Response {
    let _span = info_span!("POST /orders", body.size_bytes = body.len()).entered();

    let Some(fields) = form::parse(body) else {
        return Response::new(400, "the body is no form in UTF-8\n");
    };
    debug!(fields = fields.len(), "form read");

    let placed = Order::from_fields(&fields).and_then(|order| orders::place_order(&order));
    match placed {
        Ok(Receipt { label, invoice, .. }) => {
            Response::new(201, format!("{invoice}\nParcel to\n{label}"))
        }
        Err(error) => {
            warn!(%error, "order refused");
            Response::new(422, format!("{error}\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_answered_with_its_invoice() {
        let response = post("/orders", "name=Ann+Lee&country=DE&items=TEA-SENCHA:2");

        assert_eq!(response.status, 201);
        assert!(
            response.body.starts_with("Invoice for Ann Lee\n"),
            "{}",
            response.body
        );
    }

    #[test]
    fn an_order_that_cannot_be_carried_out_is_refused() {
        let response = post("/orders", "name=Ann+Lee&country=DE&items=COFFEE:1");

        assert_eq!(response.status, 422);
        assert_eq!(response.body, "no product `COFFEE`\n");
    }

    #[test]
    fn a_body_that_is_not_text_is_refused() {
        assert_eq!(post("/orders", "name=%FF&country=DE").status, 400);
    }

    #[test]
    fn other_places_are_not_found() {
        assert_eq!(post("/", "").status, 404);
        assert_eq!(post("/healthz", "").status, 405);
    }

    fn post(path: &str, body: &str) -> Response {
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            body: body.as_bytes().to_owned(),
        };
        match handle(&request) {
            Outcome::Answer(response) | Outcome::Stop(response) => response,
        }
    }
}
